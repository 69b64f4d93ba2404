import { NativeSelect, SegmentedControl, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ImportMapping } from '../../api.ts';
import { projectsQuery } from '../data/queries.ts';
import classes from './MappingForm.module.css';

/** A project that is there, or a new one that the import makes. */
export function ProjectChoice(props: {
  value: ImportMapping['project'];
  onChange: (project: ImportMapping['project']) => void;
  problems: Readonly<Record<string, string>>;
}) {
  const { value, onChange } = props;
  const { data } = useQuery(projectsQuery());
  const projects = data?.projects ?? [];
  const choose = (kind: string) => {
    if (kind === value.kind) return;
    const first = projects[0];
    if (kind === 'existing' && first) onChange({ kind: 'existing', project: first.key });
    if (kind === 'new') onChange({ kind: 'new', key: '', name: '' });
  };
  const known = projects.find(
    (project) => value.kind === 'existing' && [project.id, project.key].includes(value.project),
  );
  return (
    <Stack gap="xs">
      <SegmentedControl
        size="xs"
        w="fit-content"
        aria-label="Project for the items"
        value={value.kind}
        onChange={choose}
        data={[
          { value: 'new', label: 'New project' },
          { value: 'existing', label: 'Existing project', disabled: projects.length === 0 },
        ]}
      />
      <div className={classes.defaults}>
        {value.kind === 'existing' ? (
          <NativeSelect
            label="Project"
            data={projects.map((project) => ({ value: project.key, label: `${project.key} · ${project.name}` }))}
            value={known?.key ?? ''}
            onChange={(event) => onChange({ kind: 'existing', project: event.currentTarget.value })}
            error={props.problems.project}
          />
        ) : (
          <>
            <TextInput
              label="Name of the new project"
              maxLength={120}
              value={value.name}
              onChange={(event) => onChange({ ...value, name: event.currentTarget.value })}
              error={props.problems['project.name']}
            />
            <TextInput
              label="Key"
              description="2 to 6 letters"
              inputWrapperOrder={['label', 'input', 'description', 'error']}
              maxLength={6}
              value={value.key}
              onChange={(event) =>
                onChange({ ...value, key: event.currentTarget.value.toUpperCase().replace(/[^A-Z]/g, '') })
              }
              error={props.problems['project.key'] ?? props.problems.project}
            />
          </>
        )}
      </div>
    </Stack>
  );
}
