import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { whole } from "../format";
import { Button, Card, Field, Loaded, PageHead, Select, Tabs, Time } from "../parts/basic";
import { attempt, Confirm, Once } from "../parts/overlay";
import { choose, type Prefs, usePrefs } from "../prefs";
import { useAudit, useBins, useKeys, useSession, useSettings, useTenants } from "../queries";
import type { SettingsTab } from "../router";
import { words } from "../words";

const s = words.settings;

export default function Settings() {
  const { tab = "look" } = useSearch({ from: "/settings" });
  const navigate = useNavigate({ from: "/settings" });
  return (
    <>
      <PageHead title={s.title} />
      <Tabs<SettingsTab>
        label={s.title}
        now={tab}
        choose={(next) => void navigate({ search: next === "look" ? {} : { tab: next }, replace: true })}
        tabs={(["look", "keys", "bins", "retention", "audit"] as const).map((key) => ({ key, text: s.tabs[key] }))}
      />
      {tab === "look" && <Look />}
      {tab === "keys" && <Keys />}
      {tab === "bins" && <Bins />}
      {tab === "retention" && <Retention />}
      {tab === "audit" && <Audit />}
    </>
  );
}

function Look() {
  const prefs = usePrefs();
  return (
    <div className="card stack" style={{ maxWidth: 420 }}>
      <Field label={s.theme}>
        <Select<Prefs["theme"]>
          value={prefs.theme}
          options={[
            ["system", s.system],
            ["light", s.light],
            ["dark", s.dark],
          ]}
          onChange={(theme) => choose({ theme })}
        />
      </Field>
      <Field label={s.times}>
        <Select
          value={prefs.utc ? "utc" : "local"}
          options={[
            ["local", s.local],
            ["utc", s.utc],
          ]}
          onChange={(zone) => choose({ utc: zone === "utc" })}
        />
      </Field>
      <Field label={s.density}>
        <Select<Prefs["density"]>
          value={prefs.density}
          options={[
            ["comfortable", s.comfortable],
            ["compact", s.compact],
          ]}
          onChange={(density) => choose({ density })}
        />
      </Field>
    </div>
  );
}

function Keys() {
  const keys = useKeys();
  const session = useSession();
  const [makes, setMakes] = useState(false);
  const [revokes, setRevokes] = useState<Schemas["KeyDocument"] | null>(null);
  const [made, setMade] = useState("");
  const [wish, setWish] = useState({ name: "", scope: "submit" as Schemas["Scope"], tenant: "", days: "" });
  const refresh = () => queries.invalidateQueries({ queryKey: ["keys"] });
  // With the first key the house asks for one: without an admin's nobody could open these pages again.
  const first = Boolean(session.data?.open) && keys.data?.items.length === 0;
  return (
    <div className="stack">
      {session.data?.open && <div className="notice">{s.openHere}</div>}
      <div className="row">
        <Button look="main" onClick={() => setMakes(true)}>
          {s.makeKey}
        </Button>
      </div>
      <Loaded query={keys}>
        {(data) => (
          <div className="scroll" tabIndex={0} role="region" aria-label={s.tabs.keys}>
            <table className="sheet">
              <thead>
                <tr>
                  <th scope="col">{words.alerts.name}</th>
                  <th scope="col">{s.scope}</th>
                  <th scope="col">{s.tenant}</th>
                  <th scope="col">{s.lastUsed}</th>
                  <th scope="col">
                    <span className="only-read">{s.revoke}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((key) => (
                  <tr key={key.id}>
                    <td className="break">
                      {key.name} <span className="meta mono">{key.prefix}…</span>
                    </td>
                    <td>{key.scope}</td>
                    <td>{key.tenant ?? words.common.all}</td>
                    <td>{key.last_used_at ? <Time at={key.last_used_at} rough /> : words.common.never}</td>
                    <td className="right">
                      <Button small look="danger" onClick={() => setRevokes(key)}>
                        {s.revoke}
                        <span className="only-read"> {key.name}</span>
                      </Button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {makes && (
        <Confirm
          title={s.makeKey}
          verb={s.makeKey}
          close={() => setMakes(false)}
          act={async () => {
            const days = Number.parseFloat(wish.days);
            const asked = { scope: wish.scope, tenant: wish.tenant || null, expires_in_s: days > 0 ? Math.round(days * 86_400) : null };
            const body = { name: wish.name, ...(first ? { scope: "admin" as const, tenant: null, expires_in_s: null } : asked) };
            const key = await told(http.POST("/v1/keys", { body }));
            try {
              if (first) {
                await told(http.POST("/v1/session", { body: { key: key.key } }));
                await queries.invalidateQueries({ queryKey: ["session"] });
              }
              await refresh();
            } finally {
              setMade(key.key);
            }
          }}
        >
          <Field label={words.alerts.name}>
            <input className="input" required maxLength={100} value={wish.name} onChange={(event) => setWish({ ...wish, name: event.target.value })} />
          </Field>
          {first ? (
            <p>{s.firstKey}</p>
          ) : (
            <>
          <Field label={s.scope}>
            <Select value={wish.scope} options={(["read", "submit", "operate", "admin"] as const).map((one) => [one, one] as const)} onChange={(scope) => setWish({ ...wish, scope })} />
          </Field>
          <Field label={s.tenant} hint={words.common.all}>
            <input className="input" value={wish.tenant} onChange={(event) => setWish({ ...wish, tenant: event.target.value })} />
          </Field>
          <Field label={s.expires} hint={words.common.never}>
            <input className="input" type="number" min="0" value={wish.days} onChange={(event) => setWish({ ...wish, days: event.target.value })} />
          </Field>
            </>
          )}
        </Confirm>
      )}
      {revokes && (
        <Confirm
          danger
          title={`${s.revoke}: ${revokes.name}`}
          verb={s.revoke}
          close={() => setRevokes(null)}
          act={async () => {
            await told(http.DELETE("/v1/keys/{key_id}", { params: { path: { key_id: revokes.id } } }));
            await refresh();
          }}
        />
      )}
      {made && <Once title={s.keyOnce} text={made} close={() => setMade("")} />}
    </div>
  );
}

function Bins() {
  const bins = useBins();
  const tenants = useTenants();
  const patchBin = (name: string, body: Schemas["BinPatch"]) =>
    void attempt(async () => {
      await told(http.PATCH("/v1/bins/{name}", { params: { path: { name } }, body }));
      await queries.invalidateQueries({ queryKey: ["bins"] });
    }, words.common.changed);
  const patchTenant = (name: string, body: Schemas["TenantPatch"]) =>
    void attempt(async () => {
      await told(http.PATCH("/v1/tenants/{name}", { params: { path: { name } }, body }));
      await queries.invalidateQueries({ queryKey: ["tenants"] });
    }, words.common.changed);
  return (
    <div className="stack">
      <Card title={words.overview.bins}>
        <Loaded query={bins}>
          {(data) => (
            <div className="scroll" tabIndex={0} role="group" aria-label={words.overview.bins}>
              <table className="sheet">
                <thead>
                  <tr>
                    <th scope="col">{words.upload.bin}</th>
                    <th scope="col">{s.limit}</th>
                    <td />
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((bin) => (
                    <tr key={bin.name}>
                      <th scope="row">
                        {bin.name} {bin.paused && <span className="tag warn">{words.overview.paused}</span>}
                      </th>
                      <td>
                        <Limit label={`${bin.name}: ${s.limit}`} value={bin.limit} save={(limit) => patchBin(bin.name, { limit })} />
                      </td>
                      <td className="right">
                        <Button small onClick={() => patchBin(bin.name, { paused: !bin.paused })}>
                          {bin.paused ? words.overview.resume(bin.name) : words.overview.pause(bin.name)}
                        </Button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </Card>
      <Card title={s.tenant}>
        <Loaded query={tenants}>
          {(data) => (
            <div className="scroll" tabIndex={0} role="group" aria-label={s.tenant}>
              <table className="sheet">
                <thead>
                  <tr>
                    <th scope="col">{s.tenant}</th>
                    <th scope="col">{s.weight}</th>
                    <th scope="col">{s.limit}</th>
                    <th scope="col" className="right">
                      {s.used}
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((tenant) => (
                    <tr key={tenant.name}>
                      <th scope="row" className="break">
                        {tenant.name}
                      </th>
                      <td>
                        <Limit label={`${tenant.name}: ${s.weight}`} value={tenant.weight} save={(weight) => patchTenant(tenant.name, { weight: Math.max(1, weight) })} />
                      </td>
                      <td>
                        <Limit label={`${tenant.name}: ${s.limit}`} value={tenant.limit} save={(limit) => patchTenant(tenant.name, { limit })} />
                      </td>
                      <td className="right">{whole(tenant.used_core_s)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </Card>
    </div>
  );
}

function Limit({ label, value, save }: { label: string; value: number | null; save: (value: number) => void }) {
  return (
    <input
      key={String(value)}
      className="input short"
      type="number"
      min="0"
      aria-label={label}
      placeholder={words.common.none}
      defaultValue={value ?? ""}
      onBlur={(event) => {
        const wanted = event.target.value === "" ? 0 : Number.parseInt(event.target.value, 10);
        if (Number.isFinite(wanted) && wanted !== (value ?? 0)) save(wanted);
      }}
    />
  );
}

function Retention() {
  const settings = useSettings();
  return (
    <Loaded query={settings}>
      {(data) => (
        <div className="stack">
          <p className="meta">{s.retention}</p>
          <Numbers title={s.kept} texts={s.keep} numbers={data} zero={s.forever} />
          <Numbers title={s.taken} texts={s.take} numbers={data} zero={s.noLimit} />
        </div>
      )}
    </Loaded>
  );
}

function Numbers<K extends string>({ title, texts, numbers, zero }: { title: string; texts: Record<K, string>; numbers: NoInfer<Record<K, number>>; zero: string }) {
  return (
    <Card title={title}>
      <table className="sheet">
        <tbody>
          {(Object.keys(texts) as K[]).map((name) => (
            <tr key={name}>
              <th scope="row">{texts[name]}</th>
              <td className="right" style={{ whiteSpace: "nowrap" }}>{numbers[name] ? whole(numbers[name]) : zero}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Audit() {
  const [filter, setFilter] = useState({ who: "", action: "", object: "" });
  const audit = useAudit(Object.fromEntries(Object.entries(filter).filter(([, value]) => value)));
  return (
    <div className="stack">
      <div className="row">
        {(["who", "action", "object"] as const).map((name) => (
          <input key={name} className="input" style={{ width: 180 }} aria-label={s[name]} placeholder={s[name]} value={filter[name]} onChange={(event) => setFilter({ ...filter, [name]: event.target.value })} />
        ))}
      </div>
      <Loaded query={audit}>
        {(data) => (
          <div className="scroll" tabIndex={0} role="region" aria-label={s.tabs.audit}>
            <table className="sheet">
              <thead>
                <tr>
                  <th scope="col">{s.when}</th>
                  <th scope="col">{s.who}</th>
                  <th scope="col">{s.action}</th>
                  <th scope="col">{s.object}</th>
                  <th scope="col">{s.status}</th>
                </tr>
              </thead>
              <tbody>
                {data.pages
                  .flatMap((page) => page.items)
                  .map((entry) => (
                    <tr key={entry.id}>
                      <td>
                        <Time at={entry.at} />
                      </td>
                      <td className="break">{entry.who}</td>
                      <td>{entry.action}</td>
                      <td className="mono break">{entry.object}</td>
                      <td>{entry.status}</td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {audit.hasNextPage && <Button onClick={() => void audit.fetchNextPage()}>{words.common.more}</Button>}
    </div>
  );
}
