/** The Nodes tab. */

export { NodesTab } from "./tab";
