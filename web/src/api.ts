// The way to the server: typed by its own description (openapi.json), errors as it says them.

import { QueryClient } from "@tanstack/react-query";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.gen";
import { words } from "./words";

export type Schemas = components["schemas"];

/** What went wrong, in the server's words. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly requestId: string,
  ) {
    super(message);
  }
}

export const http = createClient<paths>({ baseUrl: location.origin, fetch: (request) => fetch(request) });

export function problemOf(error: unknown, status = 0): Problem {
  if (error instanceof Problem) return error;
  if (error && typeof error === "object" && "code" in error) {
    const said = error as Partial<Schemas["Problem"]>;
    return new Problem(said.status ?? status, said.code ?? "", said.detail ?? "", said.hint ?? "", said.request_id ?? "");
  }
  const text = error instanceof Error ? error.message : words.common.error;
  return new Problem(status, "SERVER_UNREACHABLE", text, "", "");
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The document of an answer, or its Problem thrown. */
export async function told<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw problemOf(error, response.status);
  return data as T;
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => count < 2 && problemOf(error).status === 0,
      refetchOnWindowFocus: true,
    },
  },
});
