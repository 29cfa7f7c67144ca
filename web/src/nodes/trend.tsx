/** The trend of a node, whose drawing comes after the first table. */

import { later } from "../shell/later";

/** The curve of a node's last half hour. */
export const Sparkline = later<{ id: string }>(() => import("./sparkline"), Nothing);

function Nothing() {
  return <span class="sparkline-none" data-testid="sparkline" />;
}

/** Have the trends of the nodes in sight asked for. */
export function wantTrends(ids: readonly string[]): void {
  // A chunk that cannot be had leaves the curves out; the next look asks again.
  import("../fleet/trends").then(
    (trends) => trends.wantTrends(ids),
    () => {},
  );
}
