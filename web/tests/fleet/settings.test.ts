import { beforeEach, expect, test, vi } from "vitest";
import { loadSettings, settings } from "../../src/fleet/settings";

let answer: () => Response;

beforeEach(() => {
  vi.stubGlobal("fetch", async () => answer());
});

test("another version of the server is noticed, and that it is the first one again, too", async () => {
  vi.resetModules();
  const fresh = await import("../../src/fleet/settings");
  const of = async (version: unknown) => {
    answer = () => Response.json({ version });
    await fresh.loadSettings();
    return fresh.newer.value;
  };
  expect(await of("1.0.0")).toBeNull();
  expect(await of("1.0.0")).toBeNull();
  expect(await of("1.1.0")).toBe("1.1.0");
  expect(await of("1.0.0")).toBeNull();
});

test("how long a node is given is the server's to say", async () => {
  answer = () => Response.json({ liveDeadlineSeconds: 1.5 });
  await loadSettings();
  expect(settings.value.liveDeadlineSeconds).toBe(1.5);
  answer = () => Response.json({});
  await loadSettings();
  expect(settings.value.liveDeadlineSeconds).toBe(3);
});
