import { expect, it } from "vitest";
import { goesOn } from "../src/upload/uploads";

it("an upload goes on after what passes, and not after what stays wrong", () => {
  expect([0, 408, 409, 423, 429, 500, 503].filter((status) => !goesOn(status))).toEqual([]);
  expect([400, 401, 403, 413, 415, 422, 507].filter(goesOn)).toEqual([]);
});
