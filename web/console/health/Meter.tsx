import type { Grade } from './health.ts';
import classes from './Meter.module.css';

/** Part of a whole: the figures in words, and a bar that repeats them for the eye. */
export function Meter({ value, of, grade, text }: { value: number; of: number; grade: Grade; text: string }) {
  const share = of > 0 ? Math.min(1, value / of) : 0;
  return (
    <div>
      {text}
      <div className={classes.track} aria-hidden>
        <div className={classes.fill} data-grade={grade} style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
