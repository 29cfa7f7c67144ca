/** The Nodes tab. */

export function NodesTab() {
  return null;
}
