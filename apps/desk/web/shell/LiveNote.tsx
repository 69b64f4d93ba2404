import { useEffect, useState } from 'react';
import { type LiveState, StateBadge } from '../../../../web/design/index.ts';
import classes from './LiveNote.module.css';

const patienceMs = 1_500;

/** Only when the stream of changes has been away for more than a moment: calm, and nothing to do. */
export function LiveNote({ state }: { state: LiveState }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (state !== 'reconnecting') {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), patienceMs);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <div className={classes.note} role="status" data-shown={shown || undefined}>
      {shown && (
        <StateBadge tone="working">Reconnecting. Changes by others will appear when the connection is back.</StateBadge>
      )}
    </div>
  );
}
