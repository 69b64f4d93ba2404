/** From any page to the board of a project. */
import { Combobox, Text, UnstyledButton, useCombobox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { formatCount, IconChevronDown } from '../../../../web/design/index.ts';
import { projectsQuery } from '../data/queries.ts';
import classes from './ProjectSwitcher.module.css';

const allProjects = 'all';

export function ProjectSwitcher({ current }: { current: string | undefined }) {
  const { data } = useQuery(projectsQuery());
  const navigate = useNavigate();
  const [search, setSearch] = useState('');
  const combobox = useCombobox({
    onDropdownOpen: () => {
      setSearch('');
      combobox.focusSearchInput();
    },
    onDropdownClose: () => {
      combobox.resetSelectedOption();
      combobox.focusTarget();
    },
  });
  const words = search.trim().toLowerCase();
  const projects = (data?.projects ?? []).filter((project) =>
    `${project.key} ${project.name}`.toLowerCase().includes(words),
  );
  const shown = data?.projects.find((project) => project.key === current);
  const open = (value: string) => {
    combobox.closeDropdown();
    void navigate(value === allProjects ? { to: '/projects' } : { to: '/p/$key/board', params: { key: value } });
  };
  return (
    <Combobox store={combobox} position="bottom-start" width={280} shadow="md" onOptionSubmit={open}>
      <Combobox.Target targetType="button">
        <UnstyledButton className={classes.button} onClick={() => combobox.toggleDropdown()}>
          <span className={classes.name}>{shown ? shown.name : 'Projects'}</span>
          <IconChevronDown size={14} aria-hidden />
        </UnstyledButton>
      </Combobox.Target>
      <Combobox.Dropdown>
        {(data?.projects.length ?? 0) > 6 && (
          <Combobox.Search
            value={search}
            onChange={(event) => {
              setSearch(event.currentTarget.value);
              combobox.selectFirstOption();
            }}
            placeholder="Find project"
            aria-label="Find project"
          />
        )}
        <Combobox.Options className={classes.options} aria-label="Projects">
          {projects.map((project) => (
            <Combobox.Option
              key={project.key}
              value={project.key}
              active={project.key === current}
              className={classes.option}
            >
              <span className={classes.key}>{project.key}</span>
              <span className={classes.name}>{project.name}</span>
              <Text span size="xs" c="dimmed" ml="auto">
                {formatCount(project.openCount)} open
              </Text>
            </Combobox.Option>
          ))}
          {projects.length === 0 && <Combobox.Empty>No project found</Combobox.Empty>}
          <Combobox.Option value={allProjects} className={classes.all}>
            All projects
          </Combobox.Option>
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
