/** What stands around every page: header, search, live changes, keys, and the dialog that creates items. */
import { ActionIcon, Button, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { AccountMenu, ErrorState, IconPlus, type NavItem, PageShell } from '../../../../web/design/index.ts';
import { useDeskLive } from '../data/live.ts';
import { meQuery } from '../data/queries.ts';
import { CreateItemDialog, useCreateItem } from '../items/CreateItemDialog.tsx';
import { IconHelpCircle, IconSettings, IconUserCircle, IconUsers } from '../items/icons.ts';
import { Announcer } from './announce.tsx';
import { HeaderSearch } from './HeaderSearch.tsx';
import classes from './Layout.module.css';
import { LiveNote } from './LiveNote.tsx';
import { ProjectSwitcher } from './ProjectSwitcher.tsx';
import { ShortcutSheet } from './ShortcutSheet.tsx';
import { signOut } from './session.ts';
import { useShortcuts } from './shortcuts.ts';
import { useUnsavedGuard } from './unsaved.ts';

export function Layout() {
  const me = useQuery(meQuery);
  const live = useDeskLive();
  useUnsavedGuard();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const projectKey = findProjectKey(pathname);
  const search = useRef<HTMLInputElement>(null);
  const [sheet, setSheet] = useState(false);
  const create = useCreateItem();
  const goToProject = (view: 'board' | 'list') => {
    if (!projectKey) return false;
    void navigate({ to: `/p/$key/${view}`, params: { key: projectKey } });
    return true;
  };
  useShortcuts({
    '?': () => setSheet(true),
    '/': () => {
      // A list or board has a search of its own, which knows its filters.
      const own = document.querySelector<HTMLInputElement>('main input[type="search"]');
      (own ?? search.current)?.focus();
    },
    c: () => create.open({ project: projectKey }),
    'g h': () => void navigate({ to: '/' }),
    'g i': () => void navigate({ to: '/items' }),
    'g b': () => goToProject('board'),
    'g l': () => goToProject('list'),
  });

  const admin = me.data?.can.manageProjects ?? false;
  const nav: NavItem[] = [
    { label: 'Home', to: '/' },
    { label: 'Items', to: '/items' },
    { label: 'Projects', to: '/projects' },
    ...(me.data?.can.importItems ? [{ label: 'Import', to: '/import' }] : []),
  ];
  const accountItems: NavItem[] = [
    { label: 'Account', href: '/-/account', icon: IconUserCircle },
    ...(admin ? [{ label: 'People', href: '/-/people', icon: IconUsers }] : []),
    ...(projectKey && admin
      ? [{ label: `Settings of ${projectKey}`, to: `/p/${projectKey}/settings`, icon: IconSettings }]
      : []),
  ];
  const full = /^\/(items|p\/[^/]+\/(board|list))$/.test(pathname);

  return (
    <PageShell
      name={me.data?.tenant.title ?? 'Desk'}
      area={me.data ? 'Desk' : undefined}
      home={{ to: '/' }}
      nav={nav}
      width={full ? 'full' : 'wide'}
      end={
        <>
          <div className={classes.switcher}>
            <ProjectSwitcher current={projectKey} />
          </div>
          <HeaderSearch input={search} />
          <Button
            size="xs"
            className={classes.create}
            leftSection={<IconPlus size={15} />}
            onClick={() => create.open({ project: projectKey })}
            aria-keyshortcuts="c"
          >
            New item
          </Button>
          <ActionIcon
            className={classes.createNarrow}
            size="lg"
            aria-label="New item"
            onClick={() => create.open({ project: projectKey })}
          >
            <IconPlus size={18} />
          </ActionIcon>
          <Tooltip label="Keys (?)">
            <ActionIcon
              className={classes.keys}
              variant="subtle"
              color="gray"
              size="lg"
              aria-label="Keys"
              aria-keyshortcuts="?"
              onClick={() => setSheet(true)}
            >
              <IconHelpCircle size={18} />
            </ActionIcon>
          </Tooltip>
          {me.data && (
            <AccountMenu
              name={me.data.user.name}
              email={me.data.user.email}
              items={accountItems}
              onSignOut={() => void signOut()}
            />
          )}
        </>
      }
    >
      {me.isError ? <ErrorState error={me.error} onRetry={() => void me.refetch()} /> : <Outlet />}
      <CreateItemDialog />
      <ShortcutSheet opened={sheet} onClose={() => setSheet(false)} />
      <LiveNote state={live} />
      <Announcer />
    </PageShell>
  );
}

/** `/p/ABC/board` and `/i/ABC-12` belong to project ABC. */
function findProjectKey(pathname: string): string | undefined {
  return /^\/(?:p|i)\/([A-Za-z]{2,6})(?:[-/]|$)/.exec(pathname)?.[1]?.toUpperCase();
}
