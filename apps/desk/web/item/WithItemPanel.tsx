/** Board or list with an item beside it: a panel where there is room, a drawer over the page where there is none. */
import { Drawer } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import type { ReactNode } from 'react';
import { useShortcuts } from '../shell/shortcuts.ts';
import { ItemView } from './ItemView.tsx';
import classes from './WithItemPanel.module.css';

export interface WithItemPanelProps {
  readonly itemKey: string | undefined;
  readonly onClose: () => void;
  /** `fill`: the content has the height of the window and scrolls inside (board). `flow`: the page scrolls (list). */
  readonly height?: 'fill' | 'flow';
  readonly children: ReactNode;
}

export function WithItemPanel({ itemKey, onClose, height = 'fill', children }: WithItemPanelProps) {
  const wide = useMediaQuery('(min-width: 68em)', window.matchMedia('(min-width: 68em)').matches, {
    getInitialValueInEffect: false,
  });
  useShortcuts({
    Escape: () => {
      if (!itemKey || !wide) return false;
      onClose();
      return true;
    },
  });
  const key = itemKey?.toUpperCase();
  return (
    <div className={classes.split} data-height={height}>
      <div className={classes.content}>{children}</div>
      {wide && key && (
        <aside className={classes.panel} aria-label={`Item ${key}`}>
          <ItemView key={key} itemKey={key} mode="panel" onClose={onClose} />
        </aside>
      )}
      {!wide && (
        <Drawer.Root opened={key !== undefined} onClose={onClose} position="right" size="min(100vw, 36rem)">
          <Drawer.Overlay backgroundOpacity={0.4} />
          <Drawer.Content aria-label={`Item ${key ?? ''}`} bg="var(--fh-surface)">
            <Drawer.Body p={0}>
              {key && <ItemView key={key} itemKey={key} mode="panel" onClose={onClose} />}
            </Drawer.Body>
          </Drawer.Content>
        </Drawer.Root>
      )}
    </div>
  );
}
