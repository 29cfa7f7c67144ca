/** The drawer of one node. */

export default function NodeDrawer() {
  return null;
}
