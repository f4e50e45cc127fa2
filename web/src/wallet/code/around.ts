// What the views of a code are given by the page around them.
import type { Action } from "./actions";
import type { Wallet } from "./contract";

/** A confirmed contact: where digits can go. */
export interface Destination {
  readonly contactId: string;
  readonly channel: string;
  readonly masked: string;
}

/** A purpose as the relayer serves it. */
export interface ServedPurpose {
  readonly name: string;
  /** Least seconds between two codes to one contact. */
  readonly cooldown: number;
  readonly actionRequired: boolean;
}

/** What the relayer says of itself. */
export interface Service {
  readonly purposes: readonly ServedPurpose[];
  readonly actions: readonly Action[];
  readonly sponsoring: boolean;
  /** Whether codes are issued at all; operators can switch that off. */
  readonly isIssuing: boolean;
}

/** The page around the views of somebody who is signed in. */
export interface Around {
  readonly service: Service;
  readonly wallet: Wallet;
  readonly destinations: readonly Destination[];
  /** Opens the view of a request. */
  readonly openCode: (id: string) => void;
  /** Opens the form for a new one. */
  readonly openForm: () => void;
  /** Opens the contacts. */
  readonly openContacts: () => void;
  /** Told of every error before it is shown: ends the session's view where the session has ended. */
  readonly noteError: (error: unknown) => void;
}
