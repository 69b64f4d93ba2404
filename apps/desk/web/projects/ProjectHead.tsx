/** Where you are in a project, and the way between its board and its list: the filters go along. */
import { ActionIcon, Menu, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { IconDots, Notice } from '../../../../web/design/index.ts';
import type { Project } from '../../api.ts';
import { meQuery } from '../data/queries.ts';
import { filtersOf, type ItemSearch } from '../data/search.ts';
import { IconLayoutKanban, IconList, IconSettings, IconUpload } from '../items/icons.ts';
import classes from './ProjectHead.module.css';

export function ProjectHead(props: {
  projectKey: string;
  project: Project | undefined;
  view: 'board' | 'list' | 'settings';
  search: ItemSearch;
}) {
  const { projectKey, project, view } = props;
  const me = useQuery(meQuery).data;
  const navigate = useNavigate();
  const filters = filtersOf(props.search);
  return (
    <>
      <div className={classes.head}>
        <Title order={1} className={classes.title}>
          {project?.name ?? projectKey}
        </Title>
        <span className={classes.key}>{projectKey}</span>
        {me?.can.manageProjects && (
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" size="lg" aria-label="More about this project">
                <IconDots size={18} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item
                leftSection={<IconSettings size={16} />}
                onClick={() => void navigate({ to: '/p/$key/settings', params: { key: projectKey } })}
              >
                Project settings
              </Menu.Item>
              <Menu.Item leftSection={<IconUpload size={16} />} onClick={() => void navigate({ to: '/import' })}>
                Import from CSV
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
        <nav className={classes.views} aria-label="Views of the project">
          <Link
            to="/p/$key/board"
            params={{ key: projectKey }}
            search={filters}
            className={classes.view}
            aria-current={view === 'board' ? 'page' : undefined}
          >
            <IconLayoutKanban size={15} aria-hidden /> Board
          </Link>
          <Link
            to="/p/$key/list"
            params={{ key: projectKey }}
            search={filters}
            className={classes.view}
            aria-current={view === 'list' ? 'page' : undefined}
          >
            <IconList size={15} aria-hidden /> List
          </Link>
        </nav>
      </div>
      {project?.archived && (
        <div className={classes.archived}>
          <Notice tone="quiet" title="This project is archived">
            Its items can be read, not changed. An administrator can bring it back in the project’s settings.
          </Notice>
        </div>
      )}
    </>
  );
}
