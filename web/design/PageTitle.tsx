import { Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';
import { IconArrowLeft } from './icons.ts';
import classes from './PageTitle.module.css';

export interface PageTitleProps {
  readonly title: string;
  /** Title of the browser tab when it should differ from the heading. */
  readonly tabTitle?: string;
  /** A state badge or the like beside the title. */
  readonly badge?: ReactNode;
  readonly subtitle?: ReactNode;
  readonly back?: { readonly to: string; readonly label: string };
  /** The one primary action; further ones go into a menu. */
  readonly action?: ReactNode;
}

/** Says where you are, in the page and in the browser's tab. */
export function PageTitle({ title, tabTitle, badge, subtitle, back, action }: PageTitleProps) {
  useDocumentTitle(tabTitle ?? title);
  return (
    <div className={classes.root}>
      <div className={classes.text}>
        {back && (
          <Link to={back.to} className={classes.back}>
            <IconArrowLeft size={14} aria-hidden /> {back.label}
          </Link>
        )}
        <div className={classes.line}>
          <Title order={1}>{title}</Title>
          {badge}
        </div>
        {subtitle && (
          <Text component="div" c="dimmed" mt={4}>
            {subtitle}
          </Text>
        )}
      </div>
      {action && <div className={classes.actions}>{action}</div>}
    </div>
  );
}

/** `Title · Suffix`, the suffix being what index.html has as its title. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${suffix}`;
  }, [title]);
}

const suffix = document.title;
