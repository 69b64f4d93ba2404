import { ActionIcon, Menu } from '@mantine/core';
import type { Icon } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { ColorSchemeSwitch } from './ColorSchemeSwitch.tsx';
import { IconMenu2 } from './icons.ts';
import { Mark } from './Mark.tsx';
import classes from './PageShell.module.css';

export interface NavItem {
  readonly label: string;
  /** Route of this page bundle, or … */
  readonly to?: string;
  /** … an address outside it (another bundle): loads a new page. */
  readonly href?: string;
  readonly icon?: Icon;
}

export interface PageShellProps {
  /** Name beside the mark: the tenant's title, or the installation's. */
  readonly name: string;
  /** Part of the product, for example `Console`. */
  readonly area?: string;
  /** Where the mark leads. */
  readonly home: { readonly to?: string; readonly href?: string };
  readonly nav?: readonly NavItem[];
  /** Right end of the header: search, live state, `AccountMenu`. */
  readonly end?: ReactNode;
  /** `reading` 46 rem for forms and text, `wide` 76 rem for tables (default), `full` for boards. */
  readonly width?: 'reading' | 'wide' | 'full';
  readonly children: ReactNode;
}

/** Header with navigation, and the page below it. */
export function PageShell({ name, area, home, nav = [], end, width = 'wide', children }: PageShellProps) {
  return (
    <>
      <SkipLink />
      <header className={classes.header}>
        <Anyway item={home} className={classes.brand}>
          <Mark />
          <span className={classes.brandName}>{name}</span>
          {area && <span className={classes.area}>{area}</span>}
        </Anyway>
        <nav className={classes.nav} aria-label="Main">
          {nav.map((item) => (
            <Anyway key={item.label} item={item} className={classes.link}>
              {item.icon && <item.icon size={16} aria-hidden />}
              {item.label}
            </Anyway>
          ))}
        </nav>
        <div className={classes.end}>
          {end}
          {nav.length > 0 && <NarrowNav nav={nav} />}
        </div>
      </header>
      <main id="content" className={classes.main} data-width={width} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

/** One card in the middle: sign-in, invitation, set-up, farewell. */
export function CenteredShell(props: {
  name: string;
  size?: 'narrow' | 'wide';
  foot?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className={classes.centered}>
      <main id="content" className={classes.card} data-size={props.size ?? 'narrow'} tabIndex={-1}>
        <div className={classes.cardBrand}>
          <Mark />
          <span>{props.name}</span>
        </div>
        {props.children}
      </main>
      <footer className={classes.foot}>
        {props.foot}
        <ColorSchemeSwitch />
      </footer>
    </div>
  );
}

function SkipLink() {
  return (
    <a className={classes.skip} href="#content">
      Skip to content
    </a>
  );
}

function Anyway(props: { item: { to?: string; href?: string }; className: string | undefined; children: ReactNode }) {
  if (props.item.to === undefined)
    return (
      <a href={props.item.href} className={props.className}>
        {props.children}
      </a>
    );
  return (
    <Link to={props.item.to} className={props.className} activeOptions={{ exact: props.item.to === '/' }}>
      {props.children}
    </Link>
  );
}

function NarrowNav({ nav }: { nav: readonly NavItem[] }) {
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Open navigation" className={classes.narrowOnly}>
          <IconMenu2 size={20} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {nav.map((item) =>
          item.to === undefined ? (
            <Menu.Item key={item.label} component="a" href={item.href}>
              {item.label}
            </Menu.Item>
          ) : (
            <Menu.Item key={item.label} component={Link} to={item.to}>
              {item.label}
            </Menu.Item>
          ),
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
