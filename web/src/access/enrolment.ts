/** Questions about a device that wants in. */

import { ApiError, ask } from "../api/http";
import type { components } from "../api/schema";
import { access } from "../text/access";

export type Pending = components["schemas"]["PendingView"];

const PATH = "/api/fabric/device-auth";

/** Look at the device that waits with a code. */
export async function lookAt(code: string): Promise<Pending> {
  return told(await ask<Pending>(`${PATH}/pending?${new URLSearchParams({ user_code: code })}`));
}

/** Let it in as a node, or refuse it. */
export async function decide(
  what: "approve" | "deny",
  code: string,
  nodeId: string | null,
): Promise<Pending> {
  const body = nodeId ? { user_code: code, node_id: nodeId } : { user_code: code };
  return told(await ask<Pending>(`${PATH}/${what}`, { method: "POST", body }));
}

function told(answer: { value: Pending | null }): Pending {
  if (!answer.value) throw new ApiError("body", "the answer is empty");
  return answer.value;
}

/** Say what went wrong, and what it means here. */
export function whyText(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error).slice(0, 300);
  if (error.status === 404) return access.enrol.notFound;
  if (error.status === 429) return access.enrol.tooMany(error.retryAfter ?? 5);
  return error.message;
}
