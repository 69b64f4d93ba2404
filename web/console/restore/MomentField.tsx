import { Button, Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import {
  formatExact,
  fromLocalInput,
  isWithin,
  nearestSeconds,
  RelativeTime,
  StateBadge,
  type Stretch,
  TimeSlider,
  toLocalInput,
} from '../../design/index.ts';
import type { Moments } from './points.ts';

const hour = 3_600_000;
const spans = [
  { value: String(hour), label: 'Hour' },
  { value: String(24 * hour), label: 'Day' },
  { value: String(7 * 24 * hour), label: 'Week' },
];
const everything = { value: 'all', label: 'All' };

export interface MomentFieldProps {
  readonly value: number;
  readonly onChange: (at: number) => void;
  readonly moments: Moments;
  readonly whole: Stretch;
}

/** A moment by slider or typed, with the word whether it can be restored, and from where. */
export function MomentField({ value, onChange, moments, whole }: MomentFieldProps) {
  const length = whole.to - whole.from;
  const offered = [...spans.filter((each) => Number(each.value) < length), everything];
  const [chosen, setSpan] = useState<string>(offered[0]!.value);
  const span = offered.some((each) => each.value === chosen) ? chosen : everything.value;
  return (
    <Stack gap="md">
      <Group gap="md" align="flex-end">
        <TypedMoment value={value} onChange={onChange} />
        <Text c="dimmed" pb={6}>
          <RelativeTime value={new Date(value)} /> · {new Date(value).toISOString().slice(0, 19).replace('T', ' ')} UTC
        </Text>
        {offered.length > 1 && (
          <SegmentedControl
            ml="auto"
            size="xs"
            aria-label="Time shown on the slider"
            data={offered}
            value={span}
            onChange={setSpan}
          />
        )}
      </Group>
      <TimeSlider
        label="Moment to restore"
        value={value}
        onChange={onChange}
        whole={whole}
        spanMs={span === everything.value ? Number.POSITIVE_INFINITY : Number(span)}
        lanes={moments.lanes}
        marks={moments.marks}
      />
      <Verdict value={value} onChange={onChange} moments={moments} />
    </Stack>
  );
}

/** The text is the person's own while it is not a moment yet. */
function TypedMoment({ value, onChange }: Pick<MomentFieldProps, 'value' | 'onChange'>) {
  const [draft, setDraft] = useState<string>();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <TextInput
      type="datetime-local"
      step={1}
      label="Day and time"
      description={`In the time of this device (${zone}).`}
      value={draft ?? toLocalInput(value)}
      onChange={(event) => {
        const text = event.currentTarget.value;
        const at = fromLocalInput(text);
        setDraft(at === undefined ? text : undefined);
        if (at !== undefined) onChange(at);
      }}
      onBlur={() => setDraft(undefined)}
      error={draft === undefined ? undefined : 'Enter a whole day and time.'}
    />
  );
}

function Verdict({ value, onChange, moments }: Omit<MomentFieldProps, 'whole'>) {
  const regions = moments.lanes.filter(({ stretches }) => isWithin(stretches, value)).map(({ region }) => region);
  if (regions.length > 0)
    return (
      <Group gap="xs" role="status">
        <StateBadge tone="ok">Can be restored</StateBadge>
        <Text size="sm" c="dimmed">
          from region {regions.join(' or ')}
        </Text>
      </Group>
    );
  const { earlier, later } = nearestSeconds(moments.all, value);
  return (
    <Group gap="xs" role="status">
      <StateBadge tone="urgent">Cannot be restored</StateBadge>
      <Text size="sm">No region holds what this second needs.</Text>
      {earlier !== undefined && (
        <Button variant="default" size="compact-sm" onClick={() => onChange(earlier)}>
          Last before: {formatExact(new Date(earlier))}
        </Button>
      )}
      {later !== undefined && (
        <Button variant="default" size="compact-sm" onClick={() => onChange(later)}>
          First after: {formatExact(new Date(later))}
        </Button>
      )}
    </Group>
  );
}
