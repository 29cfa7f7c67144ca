import { beforeEach, expect, test, vi } from "vitest";
import { forgetSession, loadSession, may, session, signOut } from "../../src/fleet/session";
import { loadSettings, settings } from "../../src/fleet/settings";

const VIEW = { kind: "session", subject: "u1", orgId: "o1", orgName: "Acme", role: "editor" };
let answer: () => Response;
const asked: [string, RequestInit][] = [];

beforeEach(() => {
  asked.length = 0;
  forgetSession();
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    asked.push([path, init]);
    return answer();
  });
});

test("an editor may do what viewers may, and not what admins may", async () => {
  answer = () => Response.json(VIEW);
  await loadSession();
  expect([may("viewer"), may("editor"), may("admin")]).toEqual([true, true, false]);
  expect(settings.value.orgName).toBe("Acme");
});

test("who has no session is nobody and may do nothing", async () => {
  answer = () => Response.json({ error: "unauthorized" }, { status: 401 });
  await loadSession();
  expect(session.value).toBeNull();
  expect(may("viewer")).toBe(false);
});

test("an API that is away ends nobody's session", async () => {
  answer = () => Response.json(VIEW);
  await loadSession();
  answer = () => Response.json({ error: "unavailable" }, { status: 503 });
  await expect(loadSession()).rejects.toMatchObject({ status: 503 });
  expect(session.value?.subject).toBe("u1");
});

test("a role that nobody has heard of may do nothing", async () => {
  answer = () => Response.json({ ...VIEW, role: "root" });
  await loadSession();
  expect(may("viewer")).toBe(false);
});

test("signing out tells the server, guarded against other sites", async () => {
  answer = () => new Response(null, { status: 204 });
  await signOut();
  expect(session.value).toBeNull();
  const [path, init] = asked[0] ?? [];
  expect([path, init?.method]).toEqual(["/api/session", "DELETE"]);
  expect(init?.headers).toMatchObject({ "X-Citadel-CSRF": "1" });
});

test("a sign-out that the server did not hear of is told", async () => {
  answer = () => Response.json(VIEW);
  await loadSession();
  answer = () => Response.json({ error: "unavailable" }, { status: 503 });
  await expect(signOut()).rejects.toMatchObject({ status: 503 });
  expect(session.value).not.toBeNull();
});

test("settings are defaults until the server told its own, odd ones stay defaults", async () => {
  expect(settings.value).toMatchObject({
    intervalSeconds: 30,
    staleSeconds: 45,
    timeoutSeconds: 100,
  });
  answer = () =>
    Response.json({
      version: "1.2",
      intervalSeconds: 10,
      staleSeconds: -1,
      grafanaUrl: "javascript:alert(1)",
    });
  await loadSettings();
  expect(settings.value).toMatchObject({
    version: "1.2",
    intervalSeconds: 10,
    staleSeconds: 45,
    grafanaUrl: null,
  });
  answer = () => Response.json({ grafanaUrl: "https://grafana.example/d/x?var-node={node}" });
  await loadSettings();
  expect(settings.value.grafanaUrl).toContain("{node}");
});

test("an answer that is no session ends nobody's: it is a proxy's", async () => {
  answer = () => Response.json(VIEW);
  await loadSession();
  for (const odd of [{}, [], null, { error: "sign in to the network" }]) {
    answer = () => Response.json(odd);
    await expect(loadSession()).rejects.toMatchObject({ step: "body" });
  }
  expect(session.value?.subject).toBe("u1");
});

test("where somebody else was signed in beside it the page begins anew", async () => {
  const reload = vi.spyOn(location, "reload").mockImplementation(() => undefined);
  answer = () => Response.json(VIEW);
  await loadSession();
  answer = () => Response.json({ ...VIEW, role: "viewer" });
  await loadSession();
  expect(reload).not.toHaveBeenCalled();
  expect(may("editor")).toBe(false);
  answer = () => Response.json({ ...VIEW, orgId: "o2" });
  await loadSession();
  expect(reload).toHaveBeenCalledOnce();
  expect(session.value?.orgId).toBe("o1");
});
