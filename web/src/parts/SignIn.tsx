import { useState } from "react";
import { http, told } from "../api";
import { renew } from "../queries";
import { words } from "../words";
import { Button, ErrorState, Field } from "./basic";

export function SignIn() {
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    try {
      await told(http.POST("/v1/session", { body: { key } }));
      await renew();
      location.reload();
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <main style={{ maxWidth: 460, margin: "10vh auto 0" }}>
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        <h1>{words.signIn.title}</h1>
        <p>{words.signIn.text}</p>
        {error !== null && <ErrorState error={error} />}
        <Field label={words.signIn.key}>
          <input
            className="input mono"
            type="password"
            autoComplete="current-password"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            required
          />
        </Field>
        <Button type="submit" look="main">
          {words.signIn.go}
        </Button>
      </form>
    </main>
  );
}
