// Files on their way to the server, by tus 1.0: each goes on after a pause, a lost connection, a restart of the server or of this page
// (the page forgets the file itself: it has to be chosen again, and then goes on where it was).

import type { Upload as TusUpload } from "tus-js-client";
import { queries } from "../api";

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
const RETRIES_MS = [0, 1000, 3000, 5000, 10_000, 10_000, 20_000, 20_000, 30_000, 30_000];

/** Whether what the server answers can be mended by asking how far it is: 0, nobody answered; 408, nothing came for a while; 507 is a
 * full disk. */
export const goesOn = (status: number): boolean =>
  status === 0 || [408, 409, 423, 429].includes(status) || (status >= 500 && status !== 507);

interface Running {
  item: Item;
  file: File;
  tus: TusUpload | null;
  samples: { at: number; sent: number }[];
}

class Uploads {
  private all: Running[] = [];
  private watchers = new Set<() => void>();
  private shown: Item[] = [];
  private count = 0;
  private input: HTMLInputElement | null = null;
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

  add(files: File[]): void {
    for (const file of files) {
      this.count += 1;
      const item: Item = {
        key: this.count,
        name: file.name,
        size: file.size,
        sent: 0,
        state: file.size ? "waiting" : "failed",
        bytesPerS: 0,
        error: file.size ? "" : `${file.name} is empty (0 bytes).`,
        hint: file.size ? "" : "Check where it came from.",
        job: "",
        video: "",
      };
      this.all.push({ item, file, tus: null, samples: [] });
    }
    this.tell();
    this.next();
  }

  pause(key: number): void {
    const one = this.find(key);
    if (!one) return;
    void one.tus?.abort();
    this.change(one, { state: "paused", bytesPerS: 0 });
    this.next();
  }

  resume(key: number): void {
    const one = this.find(key);
    if (!one) return;
    this.change(one, { state: "waiting", error: "", hint: "" });
    this.next();
  }

  remove(key: number): void {
    const one = this.find(key);
    if (one && !["done", "checking"].includes(one.item.state)) void one.tus?.abort(true).catch(() => undefined);
    this.all = this.all.filter((other) => other !== one);
    this.tell();
    this.next();
  }

  clear(): void {
    this.all = this.all.filter((one) => !["done", "failed"].includes(one.item.state));
    this.tell();
  }

  private find(key: number): Running | undefined {
    return this.all.find((one) => one.item.key === key);
  }

  private next(): void {
    const sending = this.all.filter((one) => ["sending", "lost", "checking"].includes(one.item.state)).length;
    for (const one of this.all.filter((other) => other.item.state === "waiting").slice(0, Math.max(0, AT_ONCE - sending))) {
      void this.send(one);
    }
  }

  private async send(one: Running): Promise<void> {
    this.change(one, { state: "sending" });
    if (one.tus) {
      one.tus.start();
      return;
    }
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
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        if (goesOn(status)) this.change(one, { state: "lost", bytesPerS: 0 });
        return goesOn(status);
      },
      onAfterResponse: (_request, response) => {
        const job = response.getHeader("Vidprocme-Job");
        const video = response.getHeader("Vidprocme-Video");
        if (job) this.change(one, { job, video: video ?? "" });
      },
      onError: (error) => {
        const said = "originalResponse" in error ? error.originalResponse?.getBody() : "";
        let words = { detail: error.message, hint: "" };
        try {
          words = JSON.parse(said ?? "") as typeof words;
        } catch {
          // not the server's words
        }
        this.change(one, { state: "failed", error: words.detail, hint: words.hint, bytesPerS: 0 });
        this.next();
      },
      onSuccess: () => {
        this.change(one, { state: one.item.job ? "done" : "checking", sent: one.file.size, bytesPerS: 0 });
        void queries.invalidateQueries({ queryKey: ["videos"] });
        if (!one.item.job && upload.url) void this.settle(one, upload.url);
        this.next();
      },
    });
    one.tus = upload;
    const before = await upload.findPreviousUploads();
    if (before[0]) upload.resumeFromPreviousUpload(before[0]);
    upload.start();
  }

  /** The server has all of it, and checks it: ask until it says what became of it. */
  private async settle(one: Running, url: string): Promise<void> {
    for (let tries = 0; tries < 600; tries += 1) {
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
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }

  private sent(one: Running, sent: number): void {
    const at = performance.now();
    one.samples = [...one.samples.filter((sample) => at - sample.at < 5_000), { at, sent }];
    const first = one.samples[0];
    const passed = first ? (at - first.at) / 1000 : 0;
    const rate = first && passed > 0.2 ? (sent - first.sent) / passed : one.item.bytesPerS;
    this.change(one, { sent, bytesPerS: rate, ...(one.item.state === "lost" ? { state: "sending" as const } : {}) });
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
