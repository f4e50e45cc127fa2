// What the page knows of what a code authorises, and whether it may be used.
import { actionFor, type Action } from "./actions";
import { visible } from "../../shared/visible";
import { type Authorization, describeChecked, signInAction, signInPayload } from "./authorization";
import type { Otp, TypedAction } from "./otps";

/** What is shown of a code's purpose. `refused`: it is not what was issued, or cannot be shown; such a code is not used. */
export type Shown =
  | { readonly kind: "typed"; readonly authorization: Authorization; readonly action: Action | undefined }
  | { readonly kind: "sign-in"; readonly origin: string }
  | { readonly kind: "blind"; readonly action: string }
  | { readonly kind: "refused" };

/** Of a payload and the action that was issued, where that is known apart from it. */
export function shownTyped(typed: TypedAction, actions: readonly Action[], issued?: { action: string; payloadHash?: string | undefined }): Shown {
  try {
    const authorization = describeChecked(typed, issued?.action, issued?.payloadHash);
    return { kind: "typed", authorization, action: actionFor(actions, typed) };
  } catch {
    return { kind: "refused" };
  }
}

/** Of a request. */
export function shownOf(otp: Otp, actions: readonly Action[]): Shown {
  const { authorization, action, payloadHash } = otp;
  if (authorization?.typed !== undefined) return shownTyped(authorization.typed, actions, { action, payloadHash });
  if (otp.purpose !== "login" || payloadHash === undefined) return { kind: "blind", action };
  const origin = authorization?.fields[0]?.value;
  const session = authorization?.session;
  if (origin === undefined || session === undefined) return { kind: "refused" };
  const isSo = signInPayload(origin, session) === payloadHash && signInAction(payloadHash) === action;
  return isSo ? { kind: "sign-in", origin: visible(origin) } : { kind: "refused" };
}
