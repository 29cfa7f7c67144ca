import "./style/tokens.css";
import "./style/base.css";
import { render } from "preact";
import { Page } from "./shell/page";

const root = document.getElementById("page");
if (root) render(<Page />, root);
