import "./style/tokens.css";
import "./style/base.css";
import { render } from "preact";
import { Page } from "./shell/page";
import { start } from "./shell/start";

const root = document.getElementById("page");
if (root) {
  start();
  render(<Page />, root);
}
