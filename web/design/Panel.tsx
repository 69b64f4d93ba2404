import { Text, Title } from '@mantine/core';
import { type ReactNode, useId } from 'react';
import classes from './Panel.module.css';

export interface PanelProps {
  readonly title?: string;
  readonly description?: ReactNode;
  readonly action?: ReactNode;
  /** Without a surface of its own, for tables, which bring theirs. */
  readonly flush?: boolean;
  readonly children: ReactNode;
}

/** One section of a page. */
export function Panel({ title, description, action, flush, children }: PanelProps) {
  const id = useId();
  return (
    <section className={classes.panel} data-flush={flush || undefined} aria-labelledby={title ? id : undefined}>
      {(title || action) && (
        <div className={classes.top}>
          <div>
            <Title order={2} id={id}>
              {title}
            </Title>
            {description && (
              <Text component="div" c="dimmed" size="sm">
                {description}
              </Text>
            )}
          </div>
          {action}
        </div>
      )}
      {children}
    </section>
  );
}

/** Labelled values in columns. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className={classes.facts}>{children}</dl>;
}

export function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className={classes.fact}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
