/** The API's shapes under the names that the page uses; made from its own description. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type NodeSummary = Schemas["NodeSummary"];
export type NodeDetail = Schemas["NodeDetail"];
export type Profile = Schemas["Profile"];
export type Pulse = Schemas["Pulse"];
export type FleetEvent = Schemas["FleetEvent"];
export type LiveView = Schemas["LiveView"];
export type ModelView = Schemas["ModelView"];
export type ConfigView = Schemas["ConfigView"];
export type PendingView = Schemas["PendingView"];
export type HistoryView = Schemas["HistoryView"];
export type SessionView = Schemas["SessionView"];
export type SignInMethods = Schemas["SignInMethods"];
export type TokenView = Schemas["TokenView"];
export type TokenMade = Schemas["TokenMade"];
export type NodeState = NodeSummary["state"];
