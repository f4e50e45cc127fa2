// First of all: what a link carries leaves the address bar.
import "./code/fragment";
import "../shared/style.css";
import { render } from "preact";
import { App } from "./app";
import { keepFocus } from "./frame/keep-focus";
import { startLook } from "../shared/look";
import { translator } from "./texts";

const root = document.getElementById("app");
if (root !== null) {
  startLook();
  keepFocus(root);
  await translator.start();
  render(<App />, root);
}
