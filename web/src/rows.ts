// The rows of lists of jobs. A list keeps the ids alone, in its order; the documents of what was read last are here, and what is on
// the screen is asked for again when the stream says that it changed, wherever it stands and whether or not it fits its filter still.

import { replaceEqualDeep } from "@tanstack/react-query";
import type { Schemas } from "./api";

export type Row = Schemas["JobSummary"];
type Ask = (ids: string[]) => Promise<Row[]>;

const HELD = 4_000; // documents, about 2 kB each; a list may have 100,000 rows
const ASKED = 100; // ids in one question: as many as the API takes
const AGAIN_MS = 1_000; // between two questions about rows that are there
const MISSING_MS = 80; // before one about rows that are not: who scrolls is past them by then

export class Rows {
  private readonly held = new Map<string, Row>(); // what was put or shown last comes last
  private readonly changed = new Set<string>(); // of those held: the stream told of them since
  private readonly dropped = new Set<string>();
  private shown: readonly string[] = [];
  private readonly watchers = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private dueMs = 0;
  private askedMs = 0;
  private asking = false;
  /** Another number whenever something changed. */
  version = 0;
  /** The same for the ids that are no more. */
  losses = 0;

  constructor(private readonly ask: Ask) {}

  get(id: string): Row | undefined {
    return this.held.get(id);
  }

  /** Asked for, and there was no such job any more. */
  isGone(id: string): boolean {
    return this.dropped.has(id);
  }

  /** What the server has just said. */
  put(rows: readonly Row[]): void {
    for (const row of rows) {
      const before = this.held.get(row.id);
      this.held.delete(row.id);
      this.held.set(row.id, replaceEqualDeep(before, row) as Row); // the same object while nothing changed: it is not drawn again
      if (this.dropped.delete(row.id)) this.losses += 1;
    }
    this.trim();
    this.tell();
  }

  /** These are on the screen now. */
  show(ids: readonly string[]): void {
    this.shown = ids;
    for (const id of ids) {
      const row = this.held.get(id);
      if (!row) continue;
      this.held.delete(id);
      this.held.set(id, row);
    }
    this.plan();
  }

  /** The stream told of this job. */
  touch(id: string): void {
    if (!this.held.has(id)) return;
    this.changed.add(id);
    this.plan();
  }

  /** Nobody knows what was missed: each row is asked for again when it is on the screen. */
  touchAll(): void {
    for (const id of this.held.keys()) this.changed.add(id);
    this.plan();
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  private tell(): void {
    this.version += 1;
    for (const watcher of this.watchers) watcher();
  }

  private trim(): void {
    if (this.held.size <= HELD) return;
    const kept = new Set(this.shown);
    for (const id of this.held.keys()) {
      if (this.held.size <= HELD) return;
      if (kept.has(id)) continue;
      this.held.delete(id);
      this.changed.delete(id);
    }
  }

  private wanted(): { ids: string[]; missing: boolean } {
    const missing = this.shown.filter((id) => !this.held.has(id) && !this.dropped.has(id));
    const changed = this.shown.filter((id) => this.changed.has(id));
    return { ids: [...missing, ...changed].slice(0, ASKED), missing: missing.length > 0 };
  }

  private plan(leastMs = 0): void {
    if (this.asking) return;
    const { ids, missing } = this.wanted();
    if (!ids.length) return;
    const now = Date.now();
    const dueMs = Math.max(now + leastMs, missing ? now + MISSING_MS : Math.max(now + MISSING_MS, this.askedMs + AGAIN_MS));
    if (this.timer !== null) {
      if (this.dueMs <= dueMs) return;
      clearTimeout(this.timer);
    }
    this.dueMs = dueMs;
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.look();
    }, dueMs - now);
  }

  private async look(): Promise<void> {
    const { ids } = this.wanted();
    if (!ids.length || this.asking) return;
    this.asking = true;
    this.askedMs = Date.now();
    for (const id of ids) this.changed.delete(id); // what is told from now on is news again
    let failed = false;
    try {
      const rows = await this.ask(ids);
      const there = new Set(rows.map((row) => row.id));
      for (const id of ids) {
        if (there.has(id)) continue;
        this.held.delete(id);
        this.dropped.add(id);
        this.losses += 1;
      }
      this.put(rows);
    } catch {
      failed = true; // the list itself says when the server is away
      for (const id of ids) if (this.held.has(id)) this.changed.add(id);
    }
    this.asking = false;
    this.plan(failed ? 2 * AGAIN_MS : 0);
  }
}
