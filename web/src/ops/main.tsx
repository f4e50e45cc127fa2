import "../shared/style.css";
import "./ops.css";
import { render } from "preact";
import { startLook } from "../shared/look";
import { App } from "./app";
import { translator } from "./texts";

const root = document.getElementById("app");
if (root !== null) {
  startLook();
  await translator.start();
  render(<App />, root);
}
