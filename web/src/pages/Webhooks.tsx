// Where else what happens is told: addresses, what was delivered, tests.

import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { Button, Card, Empty, Field, Loaded, Time } from "../parts/basic";
import { attempt, Confirm, Once, toast } from "../parts/overlay";
import { useDeliveries, useWebhooks } from "../queries";
import { words } from "../words";

const EVENTS = ["job.succeeded", "job.failed", "job.cancelled", "alert.opened", "alert.resolved"];

export function Webhooks() {
  const hooks = useWebhooks();
  const [adds, setAdds] = useState(false);
  const [secret, setSecret] = useState("");
  const [wish, setWish] = useState({ name: "", url: "", events: [...EVENTS] });
  const refresh = () => queries.invalidateQueries({ queryKey: ["webhooks"] });
  return (
    <>
      <div className="row" style={{ marginBottom: 16 }}>
        <Button look="main" onClick={() => setAdds(true)}>
          {words.alerts.addWebhook}
        </Button>
      </div>
      <Loaded query={hooks}>
        {(data) =>
          data.items.length === 0 ? (
            <Empty title={words.common.nothing} text={words.alerts.noneNext} command="vidprocme webhooks add NAME URL" />
          ) : (
            <ul className="plain stack">
              {data.items.map((hook) => (
                <Hook key={hook.id} hook={hook} tell={setSecret} />
              ))}
            </ul>
          )
        }
      </Loaded>
      {adds && (
        <Confirm
          title={words.alerts.addWebhook}
          verb={words.alerts.addWebhook}
          close={() => setAdds(false)}
          act={async () => {
            const made = await told(http.POST("/v1/webhooks", { body: { ...wish, enabled: true } }));
            await refresh();
            setSecret(made.secret);
          }}
        >
          <Field label={words.alerts.name}>
            <input className="input" required maxLength={100} value={wish.name} onChange={(event) => setWish({ ...wish, name: event.target.value })} />
          </Field>
          <Field label={words.alerts.url}>
            <input className="input" type="url" required value={wish.url} onChange={(event) => setWish({ ...wish, url: event.target.value })} />
          </Field>
          <fieldset className="row" style={{ border: 0, padding: 0, margin: 0 }}>
            <legend className="meta">{words.alerts.events}</legend>
            {EVENTS.map((event) => (
              <label key={event} className="row">
                <input
                  type="checkbox"
                  checked={wish.events.includes(event)}
                  onChange={() => setWish({ ...wish, events: wish.events.includes(event) ? wish.events.filter((one) => one !== event) : [...wish.events, event] })}
                />
                {event}
              </label>
            ))}
          </fieldset>
        </Confirm>
      )}
      {secret && <Once title={words.alerts.secret} text={secret} close={() => setSecret("")} />}
    </>
  );
}

function Hook({ hook, tell }: { hook: Schemas["WebhookDocument"]; tell: (secret: string) => void }) {
  const [shows, setShows] = useState(false);
  const [asks, setAsks] = useState(false);
  const path = { params: { path: { webhook_id: hook.id } } };
  const refresh = () => queries.invalidateQueries({ queryKey: ["webhooks"] });
  return (
    <li className="card alert">
      <div>
        <h2 className="break">{hook.name}</h2>
        <p className="mono break">{hook.url}</p>
        <p className="meta">
          {hook.events.join(", ")}
          {hook.last_at && (
            <>
              {" · "}
              {words.alerts.delivered(hook.last_status)} <Time at={hook.last_at} relative />
            </>
          )}
        </p>
        {hook.failing_since && (
          <p className="state bad">
            {words.states.failed} {words.alerts.since} <Time at={hook.failing_since} />
          </p>
        )}
        {shows && <Deliveries id={hook.id} />}
      </div>
      <div className="row">
        <Button
          small
          onClick={() =>
            void attempt(async () => {
              const one = await told(http.POST("/v1/webhooks/{webhook_id}/test", path));
              toast(one.error ?? words.alerts.delivered(one.status));
              await refresh();
            })
          }
        >
          {words.alerts.test}
        </Button>
        <Button small aria-expanded={shows} onClick={() => setShows(!shows)}>
          {words.alerts.deliveries}
        </Button>
        <Button
          small
          onClick={() =>
            void attempt(async () => {
              tell((await told(http.POST("/v1/webhooks/{webhook_id}/rotate", path))).secret);
              await refresh();
            })
          }
        >
          {words.alerts.rotate}
        </Button>
        <Button small look="danger" onClick={() => setAsks(true)}>
          {words.alerts.remove}
        </Button>
        <label className="row">
          <input
            type="checkbox"
            checked={hook.enabled}
            aria-label={`${hook.name}: ${words.alerts.enabled}`}
            onChange={(event) =>
              void attempt(async () => {
                await told(http.PATCH("/v1/webhooks/{webhook_id}", { ...path, body: { enabled: event.target.checked } }));
                await refresh();
              })
            }
          />
          {words.alerts.enabled}
        </label>
      </div>
      {asks && (
        <Confirm
          danger
          title={`${words.alerts.remove}: ${hook.name}`}
          verb={words.alerts.remove}
          close={() => setAsks(false)}
          act={async () => {
            await told(http.DELETE("/v1/webhooks/{webhook_id}", path));
            await refresh();
          }}
        />
      )}
    </li>
  );
}

function Deliveries({ id }: { id: string }) {
  const deliveries = useDeliveries(id);
  return (
    <Card label={words.alerts.deliveries}>
      <Loaded query={deliveries}>
        {(data) => (
          <table className="sheet">
            <tbody>
              {data.items.map((one) => (
                <tr key={one.id}>
                  <td>
                    <Time at={one.at} />
                  </td>
                  <td>{one.event}</td>
                  <td className="break">{one.error ?? words.alerts.delivered(one.status)}</td>
                  <td>
                    <Button
                      small
                      look="quiet"
                      onClick={() =>
                        void attempt(async () => {
                          await told(http.POST("/v1/deliveries/{delivery_id}/resend", { params: { path: { delivery_id: one.id } } }));
                          await deliveries.refetch();
                        })
                      }
                    >
                      {words.alerts.resend}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Loaded>
    </Card>
  );
}
