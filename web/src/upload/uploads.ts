// Files on their way to the server, by tus 1.0: each goes on after a pause, a lost connection, a restart of the server or of this page
// (the page forgets the file itself: it has to be chosen again, and then goes on where it was).

import type { DetailedError, HttpRequest, HttpResponse, Upload as TusUpload } from "tus-js-client";
import { queries } from "../api";
import { words } from "../words";

export type FileState = "waiting" | "sending" | "paused" | "lost" | "checking" | "done" | "failed";

export interface Item {
  key: number;
  name: string;
  size: number;
  sent: number;
  state: FileState;
  bytesPerS: number;
  error: string;
  hint: string;
  job: string;
  video: string;
}

export interface Wishes {
  bin: string;
  preset: string;
}

const PIECE = 32 * 1024 * 1024; // of one request: what proxies let through
const AT_ONCE = 3;
// For a day: what is not whole is kept there for as long, and nobody wants to come back to an upload that has given up.
const RETRIES_MS = [0, 1000, 2000, 3000, ...new Array<number>(17_280).fill(5_000)];
const LOOK_MS = 5_000;
const STALLED_MS = 60_000; // nothing moved for so long: the connection is dead, though nobody said so
const FAULTS = 5; // how often a server that answers with a fault of its own is asked again

interface Running {
  item: Item;
  file: File;
  tus: TusUpload | null;
  ready: Promise<TusUpload> | null;
  turn: number; // grows with each start, pause and removal: what an older one has begun ends
  movedMs: number;
  samples: { at: number; sent: number }[];
}

/** An answer to the question how far it is, other than that it is not there. */
class Unanswered extends Error {
  constructor(readonly status: number) {
    super(`status ${status}`);
  }
}

interface Said {
  code?: string;
  detail: string;
  hint: string;
}

function saidBy(error: Error | DetailedError): { status: number; said: Said | null } {
  if (!("originalRequest" in error)) return { status: 0, said: null };
  const answer = error.originalResponse;
  if (!answer) return { status: error.causingError instanceof Unanswered ? error.causingError.status : 0, said: null };
  try {
    return { status: answer.getStatus(), said: JSON.parse(answer.getBody()) as Said };
  } catch {
    return { status: answer.getStatus(), said: null }; // not the server's words: a proxy's
  }
}

/** The ids of uploads that this browser began and did not end; others cannot be gone on with here. */
export function begun(): Set<string> {
  const kept = Object.keys(localStorage).filter((key) => key.startsWith("tus::"));
  return new Set(kept.flatMap((key) => /\/v1\/uploads\/([^"/?]+)/.exec(localStorage.getItem(key) ?? "")?.[1] ?? []));
}

const goes = (one: Running) => one.item.state === "sending" || one.item.state === "lost";

const isSame = (one: File, other: File) =>
  one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;

class Uploads {
  private all: Running[] = [];
  private watchers = new Set<() => void>();
  private shown: Item[] = [];
  private count = 0;
  private input: HTMLInputElement | null = null;
  private looks = false;
  private known = new Set<string>();
  wishes: Wishes = { bin: "normal", preset: "" };

  get items(): Item[] {
    return this.shown;
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  wish(change: Partial<Wishes>): void {
    this.wishes = { ...this.wishes, ...change };
    this.tell();
  }

  /** Opens the browser's own dialog. */
  pick(): void {
    if (!this.input) {
      this.input = document.createElement("input");
      this.input.type = "file";
      this.input.multiple = true;
      this.input.hidden = true;
      this.input.id = "pick-files";
      this.input.addEventListener("change", () => {
        this.add([...(this.input?.files ?? [])]);
        if (this.input) this.input.value = "";
      });
      document.body.append(this.input);
    }
    this.input.click();
  }

  /** Whether such a file was ever added to this page, whatever became of it. */
  knows(name: string, size: number): boolean {
    return this.known.has(`${size} ${name}`);
  }

  /** How many were ever added. */
  get added(): number {
    return this.count;
  }

  add(files: File[]): void {
    this.look();
    for (const file of files) {
      const same = this.all.find((one) => one.item.state !== "done" && isSame(one.file, file));
      if (same) {
        // Two senders of one upload would take it from each other for ever.
        if (file.size && (same.item.state === "paused" || same.item.state === "failed")) this.resume(same.item.key);
        continue;
      }
      this.count += 1;
      this.known.add(`${file.size} ${file.name}`);
      const item: Item = {
        key: this.count,
        name: file.name,
        size: file.size,
        sent: 0,
        state: file.size ? "waiting" : "failed",
        bytesPerS: 0,
        error: file.size ? "" : words.upload.empty(file.name),
        hint: file.size ? "" : words.upload.emptyHint,
        job: "",
        video: "",
      };
      this.all.push({ item, file, tus: null, ready: null, turn: 0, movedMs: 0, samples: [] });
    }
    this.tell();
    this.next();
  }

  pause(key: number): void {
    const one = this.find(key);
    if (!one) return;
    this.halt(one, { state: "paused" });
  }

  resume(key: number): void {
    const one = this.find(key);
    if (!one) return;
    this.change(one, { state: "waiting", error: "", hint: "" });
    this.next();
  }

  remove(key: number): void {
    const one = this.find(key);
    if (!one) return;
    const whole = one.item.state === "done" || one.item.state === "checking";
    this.all = this.all.filter((other) => other !== one);
    this.halt(one, { state: "paused" });
    if (!whole) void one.tus?.abort(true).catch(() => undefined);
  }

  clear(): void {
    this.all = this.all.filter((one) => !["done", "failed"].includes(one.item.state));
    this.tell();
  }

  private find(key: number): Running | undefined {
    return this.all.find((one) => one.item.key === key);
  }

  private halt(one: Running, change: Partial<Item>): void {
    one.turn += 1;
    one.samples = [];
    void one.tus?.abort();
    this.change(one, { bytesPerS: 0, ...change });
    this.next();
  }

  private next(): void {
    const sending = this.all.filter(goes).length;
    for (const one of this.all.filter((other) => other.item.state === "waiting").slice(0, Math.max(0, AT_ONCE - sending))) {
      void this.send(one);
    }
  }

  private async send(one: Running): Promise<void> {
    one.turn += 1;
    const turn = one.turn;
    this.change(one, { state: "sending" });
    one.ready ??= this.prepare(one);
    one.tus = await one.ready;
    if (one.turn !== turn) return; // paused or removed meanwhile
    one.movedMs = performance.now();
    one.tus.start();
  }

  private async prepare(one: Running): Promise<TusUpload> {
    const { Upload } = await import("tus-js-client");
    const metadata: Record<string, string> = { filename: one.file.name, filetype: one.file.type, bin: this.wishes.bin };
    if (this.wishes.preset) metadata.preset = this.wishes.preset;
    const upload = new Upload(one.file, {
      endpoint: "/v1/uploads",
      chunkSize: PIECE,
      retryDelays: RETRIES_MS,
      metadata,
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => this.sent(one, sent),
      onBeforeRequest: (request) => {
        // A start that was under way when it was paused knows nothing of that.
        if (!goes(one) && request.getMethod() !== "DELETE") throw new Error("paused");
      },
      onAfterResponse: (request, response) => this.answered(one, request, response),
      onShouldRetry: (error, attempt) => goes(one) && this.isWorthwhile(one, error, attempt),
      onError: (error) => {
        if (!goes(one)) return;
        const { status, said } = saidBy(error);
        const unknown = status ? words.upload.answered(status) : error.message;
        this.halt(one, { state: "failed", error: said?.detail ?? unknown, hint: said?.hint ?? "" });
      },
      onSuccess: () => {
        this.change(one, { state: one.item.job ? "done" : "checking", sent: one.file.size, bytesPerS: 0 });
        void queries.invalidateQueries({ queryKey: ["videos"] });
        if (!one.item.job && upload.url) void this.settle(one, upload.url);
        this.next();
      },
    });
    const before = (await upload.findPreviousUploads()).sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime));
    if (before[0]) upload.resumeFromPreviousUpload(before[0]);
    return upload;
  }

  private answered(one: Running, request: HttpRequest, response: HttpResponse): void {
    const status = response.getStatus();
    // To any refusal of the question how far it is, the library would begin the file anew: only one that is not there begins anew.
    if (request.getMethod() === "HEAD" && status >= 300 && status !== 404 && status !== 410) throw new Unanswered(status);
    const job = response.getHeader("Vidprocme-Job");
    const video = response.getHeader("Vidprocme-Video");
    if (job) this.change(one, { job, video: video ?? "" });
  }

  /** Whether it is only that the server cannot be reached, or not just now. */
  private isWorthwhile(one: Running, error: Error | DetailedError, attempt: number): boolean {
    const { status, said } = saidBy(error);
    const away = [0, 408, 409, 423, 429, 502, 503, 504].includes(status) && said?.code !== "UPLOAD_FAILED";
    const again = away || (status >= 500 && status !== 507 && attempt < FAULTS);
    if (again) this.lose(one, status >= 500 ? (said?.detail ?? "") : "");
    return again;
  }

  private lose(one: Running, error: string): void {
    one.samples = [];
    this.change(one, { state: "lost", bytesPerS: 0, error });
    // A file that cannot be read any more looks like a lost connection to whoever sends it.
    one.file
      .slice(0, 1)
      .arrayBuffer()
      .catch(() => {
        if (goes(one)) this.halt(one, { state: "failed", error: words.upload.unreadable(one.item.name), hint: words.upload.unreadableHint });
      });
  }

  /** From the first file on: what hangs is begun again, and whoever leaves amid it is asked whether that is meant. */
  private look(): void {
    if (this.looks) return;
    this.looks = true;
    addEventListener("beforeunload", (event) => {
      if (this.all.some((one) => goes(one) || one.item.state === "waiting")) event.preventDefault();
    });
    setInterval(() => {
      for (const one of this.all.filter((other) => goes(other) && other.tus && performance.now() - other.movedMs > STALLED_MS)) {
        one.movedMs = performance.now();
        this.lose(one, "");
        void one.tus?.abort();
        one.tus?.start();
      }
    }, LOOK_MS);
  }

  /** The server has all of it, and checks it: ask until it says what became of it. */
  private async settle(one: Running, url: string): Promise<void> {
    while (this.all.includes(one)) {
      const answer = await fetch(url).catch(() => null);
      if (answer?.ok) {
        const said = (await answer.json()) as { job: string | null; video: string | null; error: { message: string; hint: string } | null };
        if (said.error) {
          this.change(one, { state: "failed", error: said.error.message, hint: said.error.hint });
          return;
        }
        if (said.job) {
          this.change(one, { state: "done", job: said.job, video: said.video ?? "" });
          return;
        }
      }
      if (answer?.status === 404 || answer?.status === 410) {
        this.change(one, { state: "failed", error: words.upload.unknown(one.item.name), hint: words.upload.unreadableHint });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }

  private sent(one: Running, sent: number): void {
    if (!goes(one)) return;
    const at = performance.now();
    one.movedMs = at;
    one.samples = [...one.samples.filter((sample) => at - sample.at < 5_000), { at, sent }];
    const first = one.samples[0];
    const passed = first ? (at - first.at) / 1000 : 0;
    const rate = first && passed > 0.2 ? (sent - first.sent) / passed : one.item.bytesPerS;
    this.change(one, { sent, bytesPerS: rate, state: "sending", error: "" });
  }

  private change(one: Running, change: Partial<Item>): void {
    one.item = { ...one.item, ...change };
    this.tell();
  }

  private tell(): void {
    this.shown = this.all.map((one) => one.item);
    for (const watcher of this.watchers) watcher();
  }
}

export const uploads = new Uploads();
