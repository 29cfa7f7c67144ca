/** The part with the services: how each does, what it serves, how busy it is. */

import "./services.css";
import { cut, Notice, Said } from "../parts";
import { services as words } from "../text/drawer";
import { bytes, count, percent, UNKNOWN } from "../units";
import { go } from "../url";
import { Gauge } from "./gauge";
import { placeText } from "./gpuholders";
import { Health } from "./health";
import { type Model, type Service, toneOf } from "./servicestatus";
import type { Status } from "./status";

const MODELS_SHOWN = 24;
const NAME_MAX = 64;

const oneDecimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function Services({ status, past }: { status: Status | null; past: boolean }) {
  const list = status?.services ?? null;
  if (list === null) return <Notice tone="dim" title={words.silent} />;
  if (list.length === 0) return <Notice tone="dim" title={words.absent} />;
  return (
    <div class="services">
      {list.map((service, position) => (
        <ServiceCard key={`${service.name}${position}`} service={service} past={past} />
      ))}
    </div>
  );
}

function ServiceCard({ service, past }: { service: Service; past: boolean }) {
  return (
    <article class="service" data-testid="service-card">
      <header class="service-head">
        <h4 class="service-name">
          <Said text={service.name ?? words.unnamed} max={NAME_MAX} />
        </h4>
        <Health tone={toneOf(service)} word={healthWord(service)} past={past} />
        <span class="service-kind">
          <Said text={kindText(service)} max={96} />
        </span>
      </header>
      <Reason service={service} />
      <Figures service={service} />
      <Models models={service.models} />
      <Where service={service} />
    </article>
  );
}

function healthWord({ health, status }: Service): string {
  if (health === null || health === "unknown") return status ?? words.unknownHealth;
  return Object.hasOwn(words.health, health) ? (words.health[health] ?? health) : health;
}

function kindText({ type, engine, engineVersion, port }: Service): string {
  const version = engine === null ? null : [engine, engineVersion].filter(Boolean).join(" ");
  const named = [type, version].filter((word) => word !== null);
  return [...named, port === null ? words.portUnknown : words.port(port)].join(" · ");
}

function Reason({ service }: { service: Service }) {
  if (service.reason === null && service.message === null) return null;
  return (
    <p class="service-reason" data-tone={toneOf(service)}>
      {service.reason === null ? null : (
        <strong>
          <Said text={service.reason} max={64} />
        </strong>
      )}{" "}
      {service.message === null ? null : <Said text={service.message} max={400} />}
    </p>
  );
}

function Figures({ service }: { service: Service }) {
  const { running, waiting, kvCache, probeMs, firstTokenMs, tokensPerSecond, vram } = service;
  const inference = [running, waiting, kvCache, tokensPerSecond].some((value) => value !== null);
  return (
    <dl class="service-figures">
      {inference ? <Figure name={words.running} text={count(running)} /> : null}
      {inference ? <Figure name={words.waiting} text={count(waiting)} /> : null}
      {inference ? (
        <div class="service-gauge">
          <dt class="unseen">{words.kvCache}</dt>
          <dd>
            <Gauge label={words.kvCache} value={kvCache} text={percent(kvCache)} />
          </dd>
        </div>
      ) : null}
      <Figure name={words.probe} text={ms(probeMs)} />
      {firstTokenMs === null ? null : <Figure name={words.firstToken} text={ms(firstTokenMs)} />}
      {tokensPerSecond === null ? null : (
        <Figure name={words.tokens} text={words.perSecond(oneDecimal.format(tokensPerSecond))} />
      )}
      {vram === null ? null : <Figure name={words.vram} text={bytes(vram)} />}
    </dl>
  );
}

function Figure({ name, text }: { name: string; text: string }) {
  return (
    <div class="service-figure">
      <dt>{name}</dt>
      <dd>{text}</dd>
    </div>
  );
}

function ms(value: number | null): string {
  return value === null ? UNKNOWN : words.ms(oneDecimal.format(value));
}

function Models({ models }: { models: readonly Model[] | null }) {
  if (models !== null && models.length === 0) return null;
  return (
    <div class="service-models">
      <span class="service-soft">{words.models}</span>
      {models === null ? <span>{words.modelsUnknown}</span> : null}
      {(models ?? []).slice(0, MODELS_SHOWN).map((model) => (
        <span key={model.name} class="service-model" data-loaded={model.loaded ?? undefined}>
          <ModelChip name={model.name} />
          {modelNote(model)}
        </span>
      ))}
      {(models?.length ?? 0) > MODELS_SHOWN ? (
        <span>{words.more((models?.length ?? 0) - MODELS_SHOWN)}</span>
      ) : null}
    </div>
  );
}

/** Leads to all nodes that serve the model. */
function ModelChip({ name }: { name: string }) {
  const pick = () => go({ tab: "nodes", node: "", part: "", model: name });
  return (
    <button type="button" class="chip chip-pick" title={words.who(cut(name, 200))} onClick={pick}>
      <Said text={name} max={NAME_MAX} />
    </button>
  );
}

function modelNote({ loaded, adapter }: Model) {
  const notes = [adapter ? words.adapter : null, loaded === false ? words.notLoaded : null];
  const said = notes.filter((note) => note !== null).join(", ");
  return said === "" ? null : <span class="service-soft">{said}</span>;
}

function Where({ service }: { service: Service }) {
  const place = placeText(service);
  const gpus = service.gpus === null || service.gpus.length === 0 ? null : service.gpus;
  if (place === null && gpus === null) return null;
  const list = gpus === null ? null : words.gpus(gpus.slice(0, 32).join(", "));
  return (
    <p class="service-soft service-where">
      {words.runs} <Said text={[place, list].filter(Boolean).join(" · ")} max={160} />
    </p>
  );
}
