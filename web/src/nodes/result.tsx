/** How much was found, for eyes and, where somebody asked, for ears. */

import { computed, useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { visible } from "../fleet/order";
import { allRows, shape } from "../fleet/store";
import { announce } from "../parts";
import { nodesText as words } from "../text/nodes";
import { place } from "../url";

/** Nodes that were not given up. */
const nodeCount = computed(() => {
  shape.value;
  return allRows().filter((row) => row.state !== "Decommissioned").length;
});

export function Result() {
  const shown = useComputed(() => visible.value.length).value;
  const all = Math.max(nodeCount.value, shown);
  const { q, state, model, gpu } = place.value;
  const asked = JSON.stringify([q, state, model, gpu]);
  const before = useRef(asked);
  const text = words.result(shown, all);
  useEffect(() => {
    // What the visitor asked for is answered; a node that comes by itself is no answer.
    if (before.current === asked) return;
    before.current = asked;
    announce(text, "result");
  }, [asked, text]);
  return (
    <span class="filters-result" data-testid="result-count">
      {text}
    </span>
  );
}
