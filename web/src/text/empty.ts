/** Words where no node stands. */

import { nodesOf } from "./nodes";

export const emptyText = {
  noNodes: "No nodes yet",
  noNodesHint: "A node appears here as soon as its agent has reported, within a minute of:",
  noNodesInstall: "helm install citadel charts/citadel-k8s --namespace citadel --create-namespace",
  noNodesDoctor: "kubectl fabric doctor",
  noNodesDoctorHint: "Does nothing appear? This says what is in the way:",
  copyCommand: "Copy the command",
  noMatch: "No node matches",
  noMatchHint: (all: number) => `${nodesOf(all)} hidden by search and filters.`,
};
