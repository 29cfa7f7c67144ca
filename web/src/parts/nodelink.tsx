/** A node's name as a link that opens its drawer over the tab that is open. */

import { addressOf, go, place } from "../url";
import { Said } from "./said";

const NAME_MAX = 48;
/** Characters; an id is at most 64, a name may be anything. */

export interface NodeLinkProps {
  id: string;
  /** What it is called, if not by its id. */
  name?: string | undefined;
}

export function NodeLink({ id, name }: NodeLinkProps) {
  return (
    <a
      class="node-link"
      href={addressOf({ ...place.value, node: id, part: "" })}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        go({ node: id, part: "" });
      }}
    >
      <Said text={name || id} max={NAME_MAX} />
    </a>
  );
}
