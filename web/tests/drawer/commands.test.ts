import { describe, expect, it } from "vitest";
import {
  curlCommand,
  fileName,
  grafanaLink,
  kubectlCommand,
  objectName,
  shellQuote,
} from "../../src/drawer/commands";

describe("commands to take along", () => {
  it("name the object where its name is the id", () => {
    expect(kubectlCommand("gpu-1.rack")).toBe("kubectl get fabricnode gpu-1.rack -o yaml");
  });

  it("go by the id where a hash is in the object's name", () => {
    for (const id of ["GPU_1", "Gpu-1", "a_b", "a..b", "-a", "a-", "a.-b", "x".repeat(64), ""]) {
      expect(objectName(id)).toBeNull();
    }
    expect(kubectlCommand("GPU_1")).toBe("kubectl fabric describe GPU_1");
  });

  it("let no id become a command", () => {
    const evil = "a'; rm -rf ~; echo '\n$(id)`id`";
    expect(shellQuote(evil)).toBe("'a'\\''; rm -rf ~; echo '\\''?$(id)`id`'");
    expect(kubectlCommand(evil)).toContain("describe 'a'\\''");
    expect(shellQuote("-rf")).toBe("'-rf'");
    expect(shellQuote("plain-1")).toBe("plain-1");
    expect(shellQuote("")).toBe("''");
  });

  it("show the cookie of a session, for no device may read details", () => {
    expect(curlCommand("gpu-1", "https://x.test")).toBe(
      'curl -sS -b "__Host-citadel_session=$CITADEL_API_TOKEN" https://x.test/api/fabric/nodes/gpu-1',
    );
    expect(curlCommand("gpu-1", "http://127.0.0.1:1")).toContain('-b "citadel_session=$CITADEL');
  });

  it("encode the id in addresses", () => {
    const command = curlCommand("a b/../c'", "https://x.test");
    expect(command).toContain("$CITADEL_API_TOKEN");
    expect(command).toContain(`'https://x.test/api/fabric/nodes/a%20b%2F..%2Fc'\\'''`);
  });
});

describe("the link to Grafana", () => {
  it("carries the node", () => {
    const template = "https://g.test/d/abc?var-node={node}&x={node}";
    expect(grafanaLink(template, "a&b c")).toBe(
      "https://g.test/d/abc?var-node=a%26b%20c&x=a%26b%20c",
    );
  });

  it("is none for what is no web address", () => {
    for (const bad of ["javascript:alert(1)", "data:text/html,x", "//g.test", "x", "", null]) {
      expect(grafanaLink(bad, "n")).toBeNull();
    }
    expect(grafanaLink("{node}", "javascript:alert(1)")).toBeNull();
  });
});

describe("the name of a download", () => {
  it("leads nowhere", () => {
    expect(fileName("gpu-1")).toBe("gpu-1.json");
    expect(fileName("../../etc/passwd")).toBe("__.._etc_passwd.json");
    expect(fileName("")).toBe("node.json");
  });
});
