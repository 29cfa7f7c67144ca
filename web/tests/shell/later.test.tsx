import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Boundary } from "../../src/shell/boundary";
import { later } from "../../src/shell/later";

let root: HTMLElement;

beforeEach(() => {
  root = document.createElement("div");
  document.body.append(root);
});

afterEach(() => {
  render(null, root);
  root.remove();
});

test("a view that cannot be loaded offers a reload, and is tried again when asked", async () => {
  let fails = true;
  const View = later(async () => {
    if (fails) throw new Error("404");
    return { default: () => <p>here</p> };
  });
  render(<View />, root);
  const alert = () => root.querySelector("[role=alert]")?.textContent;
  await vi.waitFor(() => expect(alert()).toContain("could not be loaded"));
  fails = false;
  root.querySelectorAll("button")[1]?.click();
  await vi.waitFor(() => expect(root.textContent).toBe("here"));
});

test("a view that breaks says so, and comes back when it can", async () => {
  let broken = true;
  function View() {
    if (broken) throw new Error("<b>no</b>");
    return <p>well</p>;
  }
  await act(() =>
    render(
      <Boundary>
        <View />
      </Boundary>,
      root,
    ),
  );
  expect(root.textContent).toContain("<b>no</b>");
  broken = false;
  await act(() => root.querySelector("button")?.click());
  expect(root.textContent).toBe("well");
});
