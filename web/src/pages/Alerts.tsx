import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { Button, Empty, Field, Loaded, PageHead, Said, Select, Tabs, Time } from "../parts/basic";
import { attempt, Confirm, Menu } from "../parts/overlay";
import { type AlertTab, useAlerts, useRules } from "../queries";
import type { AlertsTab } from "../router";
import { linkOf } from "../query";
import { words } from "../words";
import { Webhooks } from "./Webhooks";

type Alert = Schemas["AlertDocument"];
const STATES: AlertTab[] = ["open", "acknowledged", "silenced", "resolved"];
const again = () => queries.invalidateQueries({ queryKey: ["alerts"] });

export default function Alerts() {
  const { tab = "open" } = useSearch({ from: "/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const open = useAlerts("open");
  const count = open.data?.items.length ?? 0;
  const state = STATES.find((one) => one === tab);
  return (
    <>
      <PageHead title={words.alerts.title} />
      <Tabs<AlertsTab>
        label={words.alerts.title}
        now={tab}
        choose={(next) => void navigate({ search: next === "open" ? {} : { tab: next }, replace: true })}
        tabs={([...STATES, "rules", "webhooks"] as const).map((key) => ({
          key,
          text: key === "open" && count ? `${words.alerts.tabs.open} ${count}` : words.alerts.tabs[key],
        }))}
      />
      {state ? <List state={state} /> : tab === "rules" ? <Rules /> : <Webhooks />}
    </>
  );
}

const GLYPHS = { critical: "✕", warning: "!", info: "i" } as const;
const TONES = { critical: "bad", warning: "warn", info: "calm" } as const;

function List({ state }: { state: AlertTab }) {
  const alerts = useAlerts(state);
  return (
    <Loaded query={alerts}>
      {(data) =>
        data.items.length === 0 ? (
          <Empty title={words.alerts.none} text={words.alerts.noneNext} />
        ) : (
          <ul className="plain stack">
            {data.items.map((alert) => (
              <Line key={alert.id} alert={alert} />
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

function Line({ alert }: { alert: Alert }) {
  const [asks, setAsks] = useState(false);
  const [note, setNote] = useState("");
  const path = { params: { path: { alert_id: alert.id } } };
  const silence = (for_s: number) =>
    void attempt(async () => {
      await told(http.POST("/v1/alerts/{alert_id}/silence", { ...path, body: { for_s, note: "" } }));
      await again();
    });
  const over = alert.state === "resolved";
  return (
    <li className="card alert">
      <div>
        <div className={`state ${TONES[alert.severity]}`}>
          <span aria-hidden="true">{GLYPHS[alert.severity]}</span>
          {alert.severity}
        </div>
        <h2 className="break">{alert.title}</h2>
        <p className="break"><Said text={alert.text} /></p>
        {alert.hint && <p className="meta break"><Said text={alert.hint} /></p>}
        {alert.job && (
          <p className="meta break">
            {words.alerts.newest}{" "}
            <Link className="mono" to="/jobs/$id" params={{ id: alert.job }}>
              {alert.job}
            </Link>
          </p>
        )}
        <p className="meta">
          {words.alerts.since} <Time at={alert.opened_at} />
          {alert.count > 1 && ` · ×${alert.count}`}
          {alert.acknowledged_by && ` · ${words.alerts.tabs.acknowledged} ${words.alerts.by(alert.acknowledged_by)}`}
          {alert.note && ` · ${alert.note}`}
        </p>
      </div>
      <div className="row">
        {alert.link && (
          <Link className="button small" {...linkOf(alert.link)}>
            {words.alerts.show}
            <span className="only-read"> {alert.title}</span>
          </Link>
        )}
        {!over && alert.state === "open" && (
          <Button small look="main" onClick={() => setAsks(true)}>
            {words.alerts.ack}
          </Button>
        )}
        {!over && alert.state === "acknowledged" && (
          <Button
            small
            onClick={() =>
              void attempt(async () => {
                await told(http.POST("/v1/alerts/{alert_id}/unack", path));
                await again();
              })
            }
          >
            {words.alerts.unack}
          </Button>
        )}
        {!over && alert.state === "silenced" && (
          <Button small onClick={() => silence(0)}>
            {words.alerts.unsilence}
          </Button>
        )}
        {!over && alert.state !== "silenced" && (
          <Menu small text={words.alerts.silence} choices={[1, 8, 24].map((hours) => ({ text: words.alerts.hours(hours), act: () => silence(hours * 3600) }))} />
        )}
      </div>
      {asks && (
        <Confirm
          title={words.alerts.ack}
          text={alert.title}
          verb={words.alerts.ack}
          close={() => setAsks(false)}
          act={async () => {
            await told(http.POST("/v1/alerts/{alert_id}/ack", { ...path, body: { note } }));
            await again();
          }}
        >
          <Field label={words.alerts.note}>
            <input className="input" value={note} maxLength={1000} onChange={(event) => setNote(event.target.value)} />
          </Field>
        </Confirm>
      )}
    </li>
  );
}

// -- rules ---------------------------------------------------------------------------------------------------------------

function Rules() {
  const rules = useRules();
  return (
    <Loaded query={rules}>
      {(data) => (
        <ul className="plain stack">
          {data.items.map((rule) => (
            <Rule key={rule.id} rule={rule} />
          ))}
        </ul>
      )}
    </Loaded>
  );
}

function Rule({ rule }: { rule: Schemas["RuleDocument"] }) {
  const save = (body: Schemas["RulePatch"]) =>
    void attempt(async () => {
      const params = { path: { rule_id: rule.id } };
      await told(http.PATCH("/v1/alert-rules/{rule_id}", { params, body, headers: { "If-Match": `"${rule.etag}"` } }));
      await again();
    }, words.common.changed);
  const number = (value: string, from: number | null, put: (value: number) => void) => {
    const found = Number.parseFloat(value);
    if (Number.isFinite(found) && found !== from) put(found);
  };
  return (
    <li className="card alert">
      <div>
        <h2 className="break">{rule.title}</h2>
        <p className="meta break">{rule.explains}</p>
      </div>
      <div className="row">
        {rule.threshold !== null && (
          <label className="row meta">
            {words.alerts.threshold}
            <input
              className="input short"
              type="number"
              min="0"
              step="any"
              defaultValue={rule.threshold}
              aria-label={`${rule.title}: ${words.alerts.threshold}`}
              onBlur={(event) => number(event.target.value, rule.threshold, (threshold) => save({ threshold }))}
            />
            {rule.unit}
          </label>
        )}
        <label className="row meta">
          {words.alerts.for}
          <input
            className="input short"
            type="number"
            min="0"
            defaultValue={rule.for_s}
            aria-label={`${rule.title}: ${words.alerts.for}`}
            onBlur={(event) => number(event.target.value, rule.for_s, (for_s) => save({ for_s }))}
          />
        </label>
        <Select
          label={`${rule.title}: ${words.alerts.severity}`}
          value={rule.severity}
          options={(["info", "warning", "critical"] as const).map((one) => [one, one] as const)}
          onChange={(severity) => save({ severity })}
        />
        <label className="row">
          <input type="checkbox" checked={rule.enabled} aria-label={`${rule.title}: ${words.alerts.enabled}`} onChange={(event) => save({ enabled: event.target.checked })} />
          {words.alerts.enabled}
        </label>
      </div>
    </li>
  );
}
