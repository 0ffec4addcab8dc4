// The dashboard: asks the API every two seconds and shows what it says. It builds the page with text nodes only, keeps
// rows (and with them the keyboard's focus) as long as what they show is there, and stores nothing but the
// token, for as long as the tab is open.

const API = "/api/v1";
const EVERY_MS = 2000;
const KEPT = 60; // points of a chart: two minutes
const SESSIONS_MAX = 200;
const SHARDS_OF = 8; // migrations under way whose shards are asked for

const $ = id => document.getElementById(id);
const state = { routes: new Set(), role: "viewer", samples: [], failures: 0, timer: 0, sessions: [], plans: new Map() };

// --- elements ---------------------------------------------------------------------------------

function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") e.textContent = value;
    else if (key === "onclick") e.addEventListener("click", value);
    else if (value !== undefined && value !== null) e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

function setText(e, text) {
  const value = text === null || text === undefined || text === "" ? "–" : String(text);
  if (e.textContent !== value) e.textContent = value;
}

// One child of parent for each item, by key: made once, then kept and updated.
function keyed(parent, items, key, create, update) {
  const old = new Map([...parent.children].map(e => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let e = old.get(k);
    old.delete(k);
    if (!e) { e = create(item); e.dataset.key = k; }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}

// Rows of a table; columns: [label, value, class]; a value may be an element, made once.
function rows(name, items, key, columns, action) {
  const body = $(`${name}-rows`);
  keyed(body, items, key, item => {
    const tr = element("tr");
    for (const [label, , style] of columns) tr.append(element("td", { "data-label": label, class: style }));
    if (action) {
      const button = action(item);
      tr.append(element("td", { class: button ? "act" : "act nothing", "data-label": "" }, ...(button ? [button] : [])));
    }
    return tr;
  }, (tr, item) => columns.forEach(([, value, , badge], i) => {
    const cell = tr.children[i], text = value(item);
    if (!badge) { setText(cell, text); return; }
    if (!cell.firstChild) cell.append(element("span", { class: "badge" }));
    setText(cell.firstChild, text);
    cell.firstChild.className = `badge ${badge(item)}`;
  }));
  const empty = $(`${name}-empty`);
  body.parentElement.hidden = items.length === 0;
  if (empty) empty.hidden = items.length > 0;
}

function say(text, bad = false) {
  const p = element("p", { text, class: bad ? "bad" : "" });
  $("messages").append(p);
  setTimeout(() => p.remove(), bad ? 12000 : 5000);
}

// --- numbers ----------------------------------------------------------------------------------

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function seconds(s) {
  if (s === null || s === undefined || s === "" || Number.isNaN(Number(s))) return "–";
  s = Number(s);
  if (s < 60) return `${whole.format(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

function duration(s) {
  if (!Number.isFinite(s)) return "";
  return s < 0.001 ? `${(s * 1e6).toPrecision(2)} µs` : s < 1 ? `${(s * 1e3).toPrecision(3)} ms` : `${s.toPrecision(3)} s`;
}

// --- the API ----------------------------------------------------------------------------------

class Refused extends Error { constructor(status, message) { super(message); this.status = status; } }

async function ask(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (method === "POST") headers["Content-Type"] = "application/json";
  const answer = await fetch(API + path, { method, headers, credentials: "omit", cache: "no-store",
    body: method === "POST" ? JSON.stringify(body || {}) : undefined, signal: AbortSignal.timeout(20000) });
  const value = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, value.error ? value.error.message : answer.statusText);
  return { value, total: Number(answer.headers.get("X-Total-Count")) };
}

const has = path => state.routes.has(`GET ${path}`);
const get = async path => (await ask("GET", path)).value;
const may = () => state.role !== "viewer";

// Runs a change that the user asked for, and looks again at once.
async function change(button, method, path, body, done) {
  button.disabled = true;
  try {
    await ask(method, path, body);
    say(done);
  } catch (error) {
    if (error.name === "TimeoutError") say("It is still at work: this page shows how far it is.");
    else say(error.message, true);
  }
  button.disabled = false;
  refresh();
}

function sure(question, yes) {
  $("confirm-text").textContent = question;
  $("confirm-yes").textContent = yes;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise(resolve => $("confirm").addEventListener("close", () => resolve($("confirm").returnValue === "yes"), { once: true }));
}

function actionButton(label, about, act, danger = false) {
  const button = element("button", { type: "button", class: danger ? "danger" : undefined, "aria-label": `${label} ${about}`, text: label });
  button.addEventListener("click", () => act(button));
  return button;
}

// --- traffic ----------------------------------------------------------------------------------

// The buckets of a histogram, all labels summed: [[upper bound, count], ...].
function histogram(text, name) {
  const sums = new Map();
  for (const match of text.matchAll(new RegExp(`^${name}_bucket\\{(?:.*,)?le="([^"]+)"\\} (\\d+)$`, "gm"))) {
    const le = match[1] === "+Inf" ? Infinity : Number(match[1]);
    sums.set(le, (sums.get(le) || 0) + Number(match[2]));
  }
  return [...sums].sort((a, b) => a[0] - b[0]);
}

// The quantile of what came between two readings; NaN: nothing did.
function quantile(q, before, after) {
  if (!before.length || before.length !== after.length) return NaN;
  const counts = after.map(([, n], i) => n - before[i][1]), total = counts[counts.length - 1];
  if (total <= 0) return NaN;
  const i = counts.findIndex(n => n >= q * total);
  const low = i ? after[i - 1][0] : 0, high = after[i][0], below = i ? counts[i - 1] : 0;
  return high === Infinity ? low : low + (high - low) * (q * total - below) / Math.max(1, counts[i] - below);
}

function draw(id, values) {
  const svg = $(id), max = Math.max(...values.filter(Number.isFinite), 1e-9) * 1.1;
  const points = values.map((v, i) => [(KEPT - values.length + i) * 300 / (KEPT - 1), 58 - 56 * (Number.isFinite(v) ? v : 0) / max]);
  const line = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  if (!svg.firstChild) for (const c of ["area", "line"]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", c);
    svg.append(path);
  }
  svg.firstChild.setAttribute("d", points.length ? `${line}L300 60L${points[0][0].toFixed(1)} 60Z` : "");
  svg.lastChild.setAttribute("d", line);
}

function showTraffic(stats, metrics) {
  const value = Object.fromEntries(stats.map(row => [row.name, Number(row.value)]));
  const sample = { at: performance.now() / 1000, commands: value.vtshim_commands_total, errors: value.vtshim_errors_relayed_total,
    latency: histogram(metrics, "vtshim_command_duration_seconds"), added: histogram(metrics, "vtshim_added_seconds") };
  const before = state.samples.at(-1);
  if (before) {
    const s = sample.at - before.at;
    sample.rate = Math.max(0, (sample.commands - before.commands) / s);
    sample.errorRate = Math.max(0, (sample.errors - before.errors) / s);
    for (const name of ["latency", "added"]) {
      sample[`${name}50`] = quantile(0.5, before[name], sample[name]);
      sample[`${name}99`] = quantile(0.99, before[name], sample[name]);
    }
  }
  state.samples = [...state.samples, sample].slice(-KEPT - 1);
  const shown = state.samples.filter(each => each.rate !== undefined);
  draw("rate", shown.map(each => each.rate));
  setText($("rate-now"), before ? whole.format(sample.rate) : "…");
  for (const name of ["latency", "added"]) {
    $(`${name}-figure`).hidden = sample[name].length === 0;
    draw(name, shown.map(each => each[`${name}99`]));
    setText($(`${name}-now`), Number.isFinite(sample[`${name}50`]) ? `half ${duration(sample[`${name}50`])}, 99% ${duration(sample[`${name}99`])}` : "no commands");
  }
  const cards = [["Sessions", whole.format(value.vtshim_sessions)], ["Commands", short.format(value.vtshim_commands_total)],
    ["Errors a second", before ? short.format(sample.errorRate) : "…"], ["Parked now", whole.format(value.vtshim_parked_sessions)],
    ["Parked so far", short.format(value.vtshim_parks_total)], ["Failed logins", short.format(value.vtshim_logins_failed_total)]];
  keyed($("cards"), cards, c => c[0], c => element("div", {}, element("dt", { text: c[0] }), element("dd")), (e, c) => setText(e.lastChild, c[1]));
}

// --- holds, sessions --------------------------------------------------------------------------

function showHolds(holds) {
  rows("holds", holds, h => h.id, [["Id", h => h.id], ["Scope", h => h.scope], ["Kinds", h => h.kinds || "all"], ["Owner", h => h.owner],
    ["Reason", h => h.reason], ["Parked", h => h.parked, "n"], ["Ends in", h => seconds(h.expires_in_s), "n"]],
  h => may() && actionButton("Release", `hold ${h.id}`, b => change(b, "DELETE", `/holds/${h.id}`, null, `Hold ${h.id} is released.`)));
}

function sessionColumns() {
  const shade = s => s.state === "parked" ? "warn" : s.state === "idle" ? "" : "good";
  return [["Id", s => s.id], ["User", s => s.user], ["Client", s => s.client], ["Target", s => s.target],
    ["State", s => s.state + (s.in_transaction === "yes" ? ", in a transaction" : ""), "", shade], ["vtgate", s => s.vtgate],
    ["TLS", s => s.tls], ["Commands", s => whole.format(s.commands), "n"], ["Age", s => seconds(s.age_s), "n"]];
}

function showSessions(sessions, total) {
  state.sessions = sessions;
  state.total = total;
  const wanted = $("sessions-filter").value.toLowerCase();
  const shown = sessions.filter(s => !wanted || [s.user, s.client, s.target, s.state, s.vtgate].join(" ").toLowerCase().includes(wanted));
  rows("sessions", shown, s => s.id, sessionColumns());
  setText($("sessions-count"), total > sessions.length ? `the first ${sessions.length} of ${whole.format(total)}` : `${shown.length}`);
  rows("parked", sessions.filter(s => s.state === "parked"), s => s.id, [["Session", s => s.id], ["User", s => s.user],
    ["Target", s => s.target], ["Waits for", s => s.waits_for], ["Client", s => s.client]]);
}

// --- migrations -------------------------------------------------------------------------------

const ENDED = new Set(["complete", "failed", "cancelled", "detached"]);
const isEnded = m => m.took_s !== null && m.took_s !== undefined || ENDED.has(m.status);

function migrationActions(m) {
  const at = verb => `/migrations/${encodeURIComponent(m.uuid)}/${verb}`;
  const button = (label, verb, done, danger) => actionButton(label, `migration ${m.uuid}`, async b => {
    if (danger && !await sure(`${label} the migration of ${m.keyspace}.${m.table} on all shards?`, label)) return;
    change(b, "POST", at(verb), {}, done);
  }, danger);
  return [button("Complete", "complete", "It may cut over now."), button("Postpone", "postpone", "It cuts over when it is told to."),
    button("Cancel", "cancel", "It is cancelled.", true)];
}

function createMigration(m) {
  return element("article", { class: "migration", "aria-label": `${m.verb || "change"} of ${m.keyspace}.${m.table}` },
    element("h3", {}, element("span"), element("span", { class: "badge" })), element("p", { class: "facts" }),
    element("ul", { class: "shards" }), element("p", { class: "buttons" }));
}

function updateMigration(e, m) {
  const [title, facts, shards, buttons] = e.children;
  const running = !isEnded(m);
  setText(title.firstChild, `${m.verb || ""} ${m.keyspace}.${m.table}`);
  setText(title.lastChild, m.status);
  title.lastChild.className = `badge ${m.status === "complete" ? "good" : running ? "warn" : "bad"}`;
  setText(facts, [m.uuid, m.user && `by ${m.user}`, running && m.stage, running && m.eta_s !== null && `${seconds(m.eta_s)} to go`,
    running ? `for ${seconds(m.age_s)}` : `took ${seconds(m.took_s)}`, running && m.throttled && `throttled: ${m.throttled}`,
    running && m.in_the_way && `in the way: ${m.in_the_way}`, m.message].filter(Boolean).join(" · "));
  const list = running ? (m.parts && m.parts.length ? m.parts : [{ shard: "all", progress: m.progress || 0, stage: m.stage }]) : [];
  keyed(shards, list, s => s.shard, s => element("li", {}, element("span", { class: "mono", text: s.shard }),
    element("progress", { max: 100, "aria-label": `Progress of shard ${s.shard}` }), element("span", { class: "quiet" })), (li, s) => {
    li.children[1].value = Number(s.progress) || 0;
    setText(li.children[2], `${Number(s.progress) || 0} % ${s.stage || s.status || ""}`.trim());
  });
  const wanted = running && may() && m.uuid;
  if (wanted && !buttons.firstChild) buttons.append(...migrationActions(m));
  buttons.hidden = !wanted;
}

async function showMigrations(all) {
  const list = [...all].sort((a, b) => isEnded(a) - isEnded(b) || b.id - a.id).slice(0, 30);
  await Promise.all(list.filter(m => !isEnded(m) && m.uuid).slice(0, SHARDS_OF).map(async m => {
    m.parts = await get(`/migrations/${encodeURIComponent(m.uuid)}`).catch(() => []);
    m.parts.sort((a, b) => String(a.shard).localeCompare(String(b.shard)));
  }));
  keyed($("migrations-list"), list, m => m.id, createMigration, updateMigration);
  $("migrations-empty").hidden = list.length > 0;
}

// --- plans ------------------------------------------------------------------------------------

const PLANS = 20;
const planShade = state => state === "done" || state === "judged" ? "good" : state === "running" || state === "waiting" ? "warn" : "bad";

// What a paused plan can do next; both are an admin's.
function planActions(p) {
  const button = (label, verb, question, done, danger) => actionButton(label, `plan ${p.id}`, async b => {
    if (await sure(question, label)) change(b, "POST", `/plans/${p.id}/${verb}`, {}, done);
  }, danger);
  return [button("Resume", "resume", `Go on with plan ${p.id} at step ${p.step}?`, `Plan ${p.id} is done.`),
    button("Give up", "cancel", `Give plan ${p.id} up? What it has done stays done.`, `Plan ${p.id} is given up.`, true)];
}

function createPlan(p) {
  return element("article", { class: "plan", "aria-label": `plan ${p.id}` },
    element("h3", {}, element("span"), element("span", { class: "badge" })), element("p", { class: "facts" }),
    element("ol", { class: "steps" }), element("p", { class: "buttons" }));
}

function updatePlan(e, p) {
  const [title, facts, steps, buttons] = e.children;
  setText(title.firstChild, `Plan ${p.id}`);
  setText(title.lastChild, p.state);
  title.lastChild.className = `badge ${planShade(p.state)}`;
  setText(facts, [p.user && `by ${p.user}`, String(p.started).replace(/\.\d+Z$/, "Z"), `step ${p.step} of ${p.steps}`, p.text].filter(Boolean).join(" · "));
  keyed(steps, p.parts || [], s => s.step, () => element("li", {}, element("span", { class: "badge" }), element("span", { class: "what" }),
    element("span", { class: "quiet" })), (li, s) => {
    setText(li.children[0], s.state);
    li.children[0].className = `badge ${s.state === "waiting" ? "" : planShade(s.state)}`;
    setText(li.children[1], s.what);
    setText(li.children[2], [s.kind, s.keyspace, s.uuid && `migration ${s.uuid}`, s.transition && `transition ${s.transition}`].filter(Boolean).join(" · "));
  });
  const wanted = p.state === "paused" && state.role === "admin";
  if (wanted && !buttons.firstChild) buttons.append(...planActions(p));
  buttons.hidden = !wanted;
}

async function showPlans(all) {
  $("plans").hidden = $("plans-link").hidden = false;
  const list = [...all].sort((a, b) => b.id - a.id).slice(0, PLANS);
  await Promise.all(list.map(async p => {
    // The steps of one that has ended stay as they are.
    const known = state.plans.get(p.id);
    p.parts = known && known.parts.length && known.state === p.state && p.state !== "running" ? known.parts : await get(`/plans/${p.id}`).catch(() => []);
  }));
  state.plans = new Map(list.map(p => [p.id, p]));
  keyed($("plans-list"), list, p => p.id, createPlan, updatePlan);
  $("plans-empty").hidden = list.length > 0;
}

// --- transitions, vtgates ---------------------------------------------------------------------

const milliseconds = text => Number(/^(\d+) ms/.exec(text || "")?.[1]);

// The steps of a transition, each with a bar from when it began to when it ended; then whatever else its report says.
function showReport(list, lines) {
  const steps = lines.filter(l => l.section === "step");
  const all = steps.reduce((sum, l) => sum + (milliseconds(l.value) || 0), 0) || 1;
  let at = 0;
  const bars = steps.map((l, i) => {
    const ms = milliseconds(l.value), bar = { ...l, i, from: at / all * 100, part: Number.isNaN(ms) ? 0 : ms / all * 100, open: Number.isNaN(ms) };
    at += ms || 0;
    return bar;
  });
  const rest = lines.filter(l => l.section !== "step").map((l, i) => ({ ...l, i: `r${i}` }));
  keyed(list, [...bars, ...rest], l => l.i, l => element("li", { class: l.section === "step" ? "step" : "line" },
    element("span", { class: "name" }), element("span", { class: "what" }), element("span", { class: "bar" }, element("i"))), (li, l) => {
    setText(li.children[0], l.section === "step" ? l.item : l.section);
    setText(li.children[1], l.section === "step" ? (l.open && !l.value ? "now" : l.value) : [l.item, l.value].filter(Boolean).join(": "));
    li.children[2].hidden = l.section !== "step";
    li.children[2].firstChild.style.marginLeft = `${Math.min(99, l.from || 0)}%`;
    li.children[2].firstChild.style.width = `${Math.max(1, l.part || 0)}%`;
  });
}

async function fillReport(details, id) {
  showReport(details.lastChild, await get(`/transitions/${id}`).catch(() => []));
}

function createTransition(t) {
  const details = element("details", {}, element("summary", { text: "Steps", "aria-label": `Steps of transition ${t.id}` }), element("ol", { class: "report" }));
  details.addEventListener("toggle", () => { if (details.open) fillReport(details, t.id); });
  return element("li", {}, element("strong"), " ", element("span", { class: "badge" }), " ", element("span", { class: "when" }),
    element("div", { class: "quiet" }), details);
}

const isUnderWay = t => t.took_ms === null && !t.outcome || t.outcome === "running" || t.outcome === "under way";

function showTransitions(all) {
  $("transitions").hidden = $("transitions-link").hidden = false;
  const list = [...all].sort((a, b) => b.id - a.id).slice(0, 50);
  keyed($("transitions-list"), list, t => t.id, createTransition, (li, t) => {
    const running = isUnderWay(t), shade = running ? "warn" : /fail|refused|rolled|stuck|interrupted/.test(t.outcome) ? "bad" : "good";
    const [what, badge, when, text, details] = li.children;
    li.className = running ? "running" : shade;
    setText(what, [`${t.id}.`, t.what, t.keyspace].filter(Boolean).join(" "));
    setText(badge, t.outcome || t.step);
    badge.className = `badge ${shade}`;
    setText(when, [String(t.started).replace(/\.\d+Z$/, "Z"), t.user && `by ${t.user}`, t.took_ms !== null && `${running ? "for" : "took"} ${duration(t.took_ms / 1000)}`,
      t.held_ms !== null && `statements held for ${duration(t.held_ms / 1000)}`].filter(Boolean).join(" · "));
    setText(text, [running && t.step && `step: ${t.step}`, t.changes && `changes: ${t.changes}`, t.text].filter(Boolean).join(" · "));
    text.hidden = text.textContent === "–";
    if (running && details.open) fillReport(details, t.id);
  });
  $("transitions-empty").hidden = list.length > 0;
}

function showVtgates(vtgates) {
  rows("vtgates", vtgates, v => v.vtgate, [["vtgate", v => v.vtgate],
    ["Health", v => v.health, "", v => v.health === "up" ? "good" : v.health === "draining" ? "warn" : "bad"],
    ["Sessions", v => whole.format(v.sessions), "n"],
    ["VSchema", v => v.vschema && (v.vschema_age_s === null ? v.vschema : `${v.vschema}, for ${seconds(v.vschema_age_s)}`)],
    ["Hit rate of plans", v => v.hit_percent && `${v.hit_percent} %`, "n"]],
  v => may() && actionButton("Drain", v.vtgate, b => change(b, "POST", `/vtgates/${encodeURIComponent(v.vtgate)}/${b.dataset.verb}`, {},
    b.dataset.verb === "drain" ? `No new sessions go to ${v.vtgate}.` : `${v.vtgate} takes sessions again.`)));
  for (const v of vtgates) { // the one button of a row is for what can be done now
    const button = [...$("vtgates-rows").children].find(tr => tr.dataset.key === v.vtgate)?.querySelector("button");
    if (!button) continue;
    const verb = v.health === "draining" ? "resume" : "drain", label = verb === "drain" ? "Drain" : "Resume";
    button.dataset.verb = verb;
    setText(button, label);
    button.setAttribute("aria-label", `${label} ${v.vtgate}`);
  }
}

function showVschemas(list) {
  const seen = list.filter(v => v.vschema || v.error);
  const digests = new Map();
  for (const v of seen) digests.set(v.keyspace, (digests.get(v.keyspace) || new Set()).add(v.vschema));
  $("vschemas").hidden = seen.length === 0;
  rows("vschemas", seen, v => `${v.keyspace} ${v.vtgate}`, [["Keyspace", v => v.keyspace], ["vtgate", v => v.vtgate],
    ["VSchema", v => v.error || v.vschema + (digests.get(v.keyspace).size > 1 ? " differs" : ""), "mono", v => v.error ? "bad" : digests.get(v.keyspace).size > 1 ? "warn" : "good"],
    ["Columns", v => v.columns, "mono"], ["Age", v => seconds(v.age_s), "n"]]);
}

// --- the page ---------------------------------------------------------------------------------

async function showReady() {
  const answer = await fetch("/readyz", { credentials: "omit", cache: "no-store" });
  const text = (await answer.text()).trim();
  setText($("ready"), text);
  $("ready").className = `badge ${answer.ok ? "good" : "bad"}`;
}

function showSignIn(message) {
  $("sign-in").hidden = false;
  $("content").hidden = true;
  $("sign-out").hidden = true;
  setText($("who"), " ");
  if (message) say(message, true);
  if (document.activeElement === document.body) $("token").focus();
}

async function begin() {
  const index = await get("");
  state.routes = new Set(index.routes.map(r => `${r.method} ${r.path}`));
  state.role = index.caller.role;
  setText($("instance"), `${index.version} · ${index.instance}`);
  setText($("who"), `${index.caller.name}, ${index.caller.role}`);
  $("sign-out").hidden = !sessionStorage.getItem("token");
  $("sign-in").hidden = true;
  $("content").hidden = false;
  for (const e of document.querySelectorAll(".operator")) e.hidden = !may();
}

async function look() {
  const ready = showReady();
  const metrics = fetch("/metrics", { credentials: "omit", cache: "no-store" }).then(a => a.text());
  const sessions = ask("GET", `/sessions?limit=${SESSIONS_MAX}`);
  const parts = { holds: showHolds, migrations: showMigrations, vtgates: showVtgates, vschemas: showVschemas, plans: showPlans,
    transitions: showTransitions };
  const asked = Object.entries(parts).filter(([name]) => has(`/${name}`)).map(async ([name, show]) => show(await get(`/${name}`)));
  showTraffic(await get("/stats"), await metrics);
  const { value, total } = await sessions;
  showSessions(value, total);
  await Promise.all([ready, ...asked]);
}

async function refresh() {
  clearTimeout(state.timer);
  try {
    if (!state.routes.size) await begin();
    await look();
    state.failures = 0;
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
      const tried = sessionStorage.getItem("token");
      state.routes.clear();
      sessionStorage.removeItem("token");
      showSignIn(error.status === 403 ? error.message : tried ? "This token is not known." : "");
      return;
    }
    if (state.failures++ === 0) say(`No answer: ${error.message}`, true);
    setText($("ready"), "no answer");
    $("ready").className = "badge bad";
  }
  if (!document.hidden) state.timer = setTimeout(refresh, EVERY_MS * Math.min(8, 1 + state.failures));
}

$("sign-in").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("token").value = "";
  refresh().then(() => { if (!$("content").hidden) $("main").focus(); });
});
$("sign-out").addEventListener("click", () => {
  sessionStorage.removeItem("token");
  state.routes.clear();
  state.samples = [];
  state.plans.clear();
  clearTimeout(state.timer);
  showSignIn("");
});
$("hold-scope").addEventListener("change", () => {
  $("hold-keyspace-label").hidden = $("hold-scope").value === "all";
  $("hold-table-label").hidden = $("hold-scope").value !== "table";
});
$("hold-form").addEventListener("submit", async event => {
  event.preventDefault();
  const scope = $("hold-scope").value, body = { scope, seconds: Number($("hold-seconds").value) };
  if (scope !== "all") body.keyspace = $("hold-keyspace").value;
  if (scope === "table") body.table = $("hold-table").value;
  if ($("hold-reason").value) body.reason = $("hold-reason").value;
  if (scope === "all" && !await sure(`Park everything for ${body.seconds} seconds?`, "Hold")) return;
  change(event.submitter, "POST", "/holds", body, "The hold is in force.");
});
$("sessions-filter").addEventListener("input", () => showSessions(state.sessions, state.total));
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refresh();
