import classes from './Meter.module.css';

export interface MeterProps {
  readonly value: number;
  readonly of: number;
  readonly tone: 'ok' | 'late' | 'urgent';
  /** The figures in words, with units. */
  readonly text: string;
}

/** Part of a whole: the figures in words, and a bar that repeats them for the eye. */
export function Meter({ value, of, tone, text }: MeterProps) {
  const share = of > 0 ? Math.min(1, value / of) : 0;
  return (
    <div>
      {text}
      <div className={classes.track} aria-hidden>
        <div className={classes.fill} data-tone={tone} style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
