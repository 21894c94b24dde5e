// Ctrl K: go somewhere, do something, open what an id names.

import { useNavigate } from "@tanstack/react-router";
import { Command, defaultFilter } from "cmdk";
import { choose } from "../prefs";
import { uploads } from "../upload/uploads";
import { words } from "../words";
import { useState } from "react";
import { Dialog } from "./overlay";
import { PLACES } from "./Shell";

// Whatever was typed can be searched for: that comes after all that goes by the typed words.
const SEARCH = "search for what was typed";
const rank = (value: string, typed: string) => (value === SEARCH ? 0.0001 : (defaultFilter?.(value, typed) ?? 0));

export default function Palette({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const navigate = useNavigate();
  const typed = text.trim();
  const run = (act: () => unknown) => () => {
    close();
    void act();
  };
  return (
    <Dialog title={words.palette.title} close={close}>
      <Command label={words.palette.title} className="palette" filter={rank}>
        <Command.Input className="input" autoFocus value={text} onValueChange={setText} placeholder={words.palette.placeholder} />
        <Command.List>
          <Command.Empty>{words.palette.nothing}</Command.Empty>
          {/^job_\w+$/i.test(typed) && (
            <Command.Item value={typed} onSelect={run(() => navigate({ to: "/jobs/$id", params: { id: typed } }))}>
              {words.palette.openJob(typed)}
            </Command.Item>
          )}
          {/^vid_\w+$/i.test(typed) && (
            <Command.Item value={typed} onSelect={run(() => navigate({ to: "/videos/$id", params: { id: typed } }))}>
              {words.palette.openVideo(typed)}
            </Command.Item>
          )}
          {PLACES.map(([to, name]) => (
            <Command.Item key={to} onSelect={run(() => navigate({ to }))}>
              {words.palette.go(words.pages[name])}
            </Command.Item>
          ))}
          <Command.Item onSelect={run(() => navigate({ to: "/docs" }))}>{words.palette.go(words.docs.title)}</Command.Item>
          <Command.Item onSelect={run(() => uploads.pick())}>{words.overview.add}</Command.Item>
          <Command.Item onSelect={run(() => navigate({ to: "/jobs", search: { state: ["dead"] } }))}>{words.jobs.deadLetters}</Command.Item>
          <Command.Item onSelect={run(() => choose({ theme: "light" }))}>{words.shell.light}</Command.Item>
          <Command.Item onSelect={run(() => choose({ theme: "dark" }))}>{words.shell.dark}</Command.Item>
          {typed && (
            <Command.Item value={SEARCH} onSelect={run(() => navigate({ to: "/search", search: { q: typed } }))}>
              {words.palette.searchFor(typed)}
            </Command.Item>
          )}
        </Command.List>
      </Command>
    </Dialog>
  );
}
