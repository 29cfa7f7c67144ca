import { render } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clusters } from "../../src/access/clusters";
import { Enrol } from "../../src/access/enrol";
import { People } from "../../src/access/people";
import { Tokens } from "../../src/access/tokens";
import { go } from "../../src/url";

interface Asked {
  readonly what: string;
  readonly body: unknown;
}

let root: HTMLElement;
let asked: Asked[];
let answers: Record<string, [number, unknown]>;

const PENDING = {
  user_code: "BCDF-GHJK",
  state: "pending",
  client_id: "citadel-cli",
  hostname: "<b>gpu-3</b>",
  address: "203.0.113.9",
  force_new: false,
  node_id: "gpu-3",
  created_at: "2026-11-24T08:00:00Z",
  expires_at: "2026-11-24T08:10:00Z",
};

const MADE = {
  tokenId: "t1",
  name: "rack7",
  scopes: ["device_redis:read"],
  createdAt: "2026-11-24T08:00:00Z",
  createdBy: "user:u1",
};

beforeEach(() => {
  root = document.createElement("div");
  document.body.append(root);
  asked = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const what = `${init.method} ${path.split("?")[0]}`;
    asked.push({ what, body: init.body ? JSON.parse(String(init.body)) : null });
    const [status, body] = answers[what] ?? [404, { error: "not_found" }];
    return new Response(status === 204 ? null : JSON.stringify(body), { status });
  });
});

afterEach(() => {
  render(null, root);
  root.remove();
  go({ code: "" }, "replace");
  vi.unstubAllGlobals();
});

const find = (testid: string) => root.querySelector<HTMLElement>(`[data-testid=${testid}]`);

function type(testid: string, text: string): void {
  const field = find(testid) as HTMLInputElement;
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** What is drawn comes after the present task. */
function press(testid: string): Promise<void> {
  return vi.waitFor(() => {
    const button = find(testid) as HTMLButtonElement | null;
    expect(button?.disabled).toBe(false);
    button?.click();
  });
}

test("a device is looked at before it is let in, as the node that somebody names", async () => {
  answers = {
    "GET /api/fabric/device-auth/pending": [200, PENDING],
    "POST /api/fabric/device-auth/approve": [200, { ...PENDING, state: "approved" }],
  };
  render(<Enrol />, root);
  type("enrol-code", "bcdf ghjk");
  await press("enrol-look");
  await vi.waitFor(() => expect(find("enrol-device")?.textContent).toContain("<b>gpu-3</b>"));
  expect(root.querySelector("b")).toBeNull();
  const approve = find("enrol-approve") as HTMLButtonElement;
  await vi.waitFor(() => expect(approve.disabled).toBe(false), 3000);
  await press("enrol-approve");
  await vi.waitFor(() => expect(find("enrol-done")?.textContent).toContain("Let in as gpu-3"));
  expect(asked.at(-1)?.body).toEqual({ user_code: "BCDF-GHJK", node_id: "gpu-3" });
});

test("what is no code is not asked for", async () => {
  answers = {};
  render(<Enrol />, root);
  type("enrol-code", "hello");
  await press("enrol-look");
  await vi.waitFor(() => expect(root.querySelector("[role=alert]")).not.toBeNull());
  expect(asked).toEqual([]);
});

test("a code in the address is looked up at once, and one that is gone is explained", async () => {
  answers = {};
  go({ tab: "access", code: "BCDFGHJK" }, "replace");
  render(<Enrol />, root);
  await vi.waitFor(() =>
    expect(root.querySelector("[role=alert]")?.textContent).toContain("No device waits"),
  );
});

test("a secret is shown until somebody says that it is kept, and never in the list", async () => {
  answers = {
    "GET /api/orgs/tokens": [200, { tokens: [MADE] }],
    "POST /api/orgs/tokens": [201, { ...MADE, token: "act_secret" }],
  };
  render(<Tokens />, root);
  type("token-name", " rack7 ");
  await press("token-create");
  await vi.waitFor(() => expect(find("token-secret")?.textContent).toBe("act_secret"));
  expect(asked.find(({ what }) => what.startsWith("POST"))?.body).toMatchObject({ name: "rack7" });
  expect(find("token-table")?.textContent).not.toContain("act_secret");
  await press("token-stored");
  await vi.waitFor(() => expect(root.textContent).not.toContain("act_secret"));
});

test("a second secret does not take the place of one that nobody has kept", async () => {
  answers = {
    "GET /api/orgs/tokens": [200, { tokens: [] }],
    "POST /api/orgs/tokens": [201, { ...MADE, token: "act_one" }],
  };
  render(<Tokens />, root);
  type("token-name", "one");
  await press("token-create");
  await vi.waitFor(() => expect(root.textContent).toContain("act_one"));
  answers["POST /api/orgs/tokens"] = [201, { ...MADE, tokenId: "t2", token: "act_two" }];
  type("token-name", "two");
  await press("token-create");
  await vi.waitFor(() => expect(root.textContent).toContain("act_two"));
  expect(root.textContent).toContain("act_one");
});

test("a list that cannot be had says why, and is asked for again when wanted", async () => {
  answers = { "GET /api/orgs/tokens": [503, { error_description: "PostgreSQL is away" }] };
  render(<Tokens />, root);
  await vi.waitFor(() => expect(root.textContent).toContain("PostgreSQL is away"));
  answers = { "GET /api/orgs/tokens": [200, { tokens: [] }] };
  root.querySelector<HTMLElement>("[role=alert] button")?.click();
  await vi.waitFor(() => expect(find("empty-no-tokens")).not.toBeNull());
});

test("people are listed as text, those locked out too, part after part", async () => {
  const person = { role: "viewer", signsInBy: "link", createdAt: null };
  answers["GET /api/orgs/users"] = [
    200,
    {
      users: [{ ...person, userId: "u1", name: "<b>Ada</b>", disabledAt: "2026-11-24T08:00:00Z" }],
    },
  ];
  render(<People />, root);
  await vi.waitFor(() => expect(find("people-table")).not.toBeNull());
  expect(root.querySelector("b")).toBeNull();
  expect(find("person-row")?.textContent).toContain("locked out");
});

test("a list that cannot be had says why, and is asked for again", async () => {
  answers["GET /api/orgs/clusters"] = [503, { error: "x", error_description: "no database" }];
  render(<Clusters />, root);
  await vi.waitFor(() => expect(root.textContent).toContain("no database"));
  answers["GET /api/orgs/clusters"] = [200, { clusters: [] }];
  root.querySelector("button")?.click();
  await vi.waitFor(() => expect(root.textContent).toContain("No cluster"));
});
