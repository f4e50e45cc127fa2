import { useEffect, useRef, useState } from "preact/hooks";
import { Refusal } from "../../shared/http";
import { ChainTime } from "./chain-time";
import { follow } from "./events";
import { type Otp, show } from "./otps";

/** A request, followed while it is looked at. */
export interface Followed {
  readonly otp: Otp | undefined;
  /** Whether the daemon answers. */
  readonly isInContact: boolean;
  /** There is no such request of this wallet. */
  readonly isMissing: boolean;
  readonly time: ChainTime;
  /** Looks at once, after something that changes where it stands. */
  readonly refresh: () => void;
}

/** Follows a request; what waiting does not mend is told to `noteError`. */
export function useRequest(id: string, noteError: (error: unknown) => void): Followed {
  const [otp, setOtp] = useState<Otp>();
  const [isInContact, setContact] = useState(true);
  const [isMissing, setMissing] = useState(false);
  const time = useRef(new ChainTime());
  const look = useRef<() => void>(() => undefined);
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let heard = 0;
    const news = (it: Otp): void => {
      if (signal.aborted) return;
      heard += 1;
      time.current.sample(it.chainTime);
      setOtp(it);
    };
    look.current = () => {
      const before = heard;
      // What this look does not see, the next one does; and it may be older than what was heard meanwhile.
      show(id, signal).then((it) => {
        if (heard === before) news(it);
      }, () => undefined);
    };
    follow(id, { news, contact: setContact }, signal).catch((error: unknown) => {
      if (signal.aborted) return;
      if (error instanceof Refusal && error.status === 404) setMissing(true);
      noteError(error);
    });
    return () => {
      leaving.abort();
    };
  }, [id]);
  const refresh = (): void => {
    look.current();
  };
  return { otp, isInContact, isMissing, time: time.current, refresh };
}

/** Draws anew each second while `isOn`. */
export function useSeconds(isOn: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => {
      tick((count) => count + 1);
    }, 1_000);
    return () => {
      clearInterval(timer);
    };
  }, [isOn]);
}
