// What lies over the page: dialogs, menus, short messages. Dialogs are the browser's own, which keep the focus and know Escape.

import { type ReactNode, useEffect, useId, useRef, useState, useSyncExternalStore } from "react";
import { problemOf } from "../api";
import { words } from "../words";
import { Button, Copy, Said } from "./basic";

export function Dialog({
  title,
  children,
  close,
  wide,
}: {
  title: string;
  children: ReactNode;
  close: () => void;
  wide?: boolean;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    // The browser would take the first thing that can have the focus at all, which need not be where one writes.
    dialog?.querySelector<HTMLElement>("input, select, textarea")?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      className={wide ? "wide" : ""}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === box.current) close();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** Asks before something is done, does it, and says what went wrong. */
export function Confirm({
  title,
  text,
  verb,
  danger,
  act,
  close,
  children,
}: {
  title: string;
  text?: ReactNode;
  verb: string;
  danger?: boolean;
  act: () => Promise<unknown>;
  close: () => void;
  children?: ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        {text && <p>{text}</p>}
        {children}
        {error !== null && (
          <p role="alert" className="notice bad">
            {problemOf(error).message} <Said text={problemOf(error).hint} />
          </p>
        )}
        <div className="row end">
          <Button onClick={close}>{words.common.close}</Button>
          <Button type="submit" look={danger ? "danger" : "main"} disabled={busy}>
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Something that is shown once and never again. */
export function Once({ title, text, close }: { title: string; text: string; close: () => void }) {
  return (
    <Dialog title={title} close={close}>
      <pre>{text}</pre>
      <div className="row end">
        <Copy text={text} />
        <Button look="main" onClick={close}>
          {words.common.close}
        </Button>
      </div>
    </Dialog>
  );
}

export interface Choice {
  text: string;
  act?: () => void;
  href?: string;
}

export function Menu({ text, choices, small }: { text: string; choices: Choice[]; small?: boolean }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const keys = (event: React.KeyboardEvent) => {
    if (!open) return;
    const items = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (event.key === "Escape") {
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
    } else if (event.key in to) {
      event.preventDefault();
      items[((to[event.key] ?? 0) + items.length) % items.length]?.focus();
    }
  };
  return (
    <div className="menu" ref={box} onKeyDown={keys}>
      <button
        type="button"
        ref={button}
        className={small ? "button small" : "button"}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {text} <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <ul role="menu" aria-label={text} className="plain">
          {choices.map((choice) => (
            <li key={choice.text} role="none">
              {choice.href ? (
                <a role="menuitem" tabIndex={-1} href={choice.href} onClick={() => setOpen(false)}>
                  {choice.text}
                </a>
              ) : (
                <button
                  type="button"
                  role="menuitem"
                  tabIndex={-1}
                  onClick={() => {
                    setOpen(false);
                    button.current?.focus();
                    choice.act?.();
                  }}
                >
                  {choice.text}
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

// -- short messages --------------------------------------------------------------------------------------------------

interface Note {
  id: number;
  text: string;
}

let notes: Note[] = [];
let count = 0;
const watchers = new Set<() => void>();

function tell(next: Note[]): void {
  notes = next;
  for (const watcher of watchers) watcher();
}

const close = (id: number) => tell(notes.filter((one) => one.id !== id));

export function toast(text: string): void {
  count += 1;
  const id = count;
  tell([...notes.slice(-2), { id, text }]);
  setTimeout(() => close(id), 6_000);
}

/** Does something, and says when it did not work. */
export async function attempt(act: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await act();
    if (done) toast(done);
    return true;
  } catch (error) {
    const problem = problemOf(error);
    toast(`${problem.message} ${problem.hint}`.trim());
    return false;
  }
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => notes,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((note) => (
        <div key={note.id} className="toast">
          <span>
            <Said text={note.text} />
          </span>
          <button type="button" onClick={() => close(note.id)}>
            {words.common.close}
          </button>
        </div>
      ))}
    </div>
  );
}
