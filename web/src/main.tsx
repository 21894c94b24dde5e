import "./fonts.css";
import "./tokens.css";
import "./base.css";
import "./pages/pages.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queries } from "./api";
import { live } from "./live";
import { apply } from "./prefs";
import { follow } from "./queries";
import { router } from "./router";

apply();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
follow();
live.start();

const place = document.getElementById("root");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
