/** All keys on one sheet, opened with `?`. */
import { Kbd, Modal, SimpleGrid, Stack, Switch, Text, Title } from '@mantine/core';
import classes from './ShortcutSheet.module.css';
import { useShortcutsSwitch } from './shortcuts.ts';

type Line = readonly [keys: readonly string[], what: string];

const groups: readonly (readonly [title: string, lines: readonly Line[]])[] = [
  [
    'Everywhere',
    [
      [['?'], 'This sheet'],
      [['/'], 'Search'],
      [['c'], 'Create an item'],
      [['g', 'h'], 'Go to Home'],
      [['g', 'i'], 'Go to Items'],
      [['g', 'b'], 'Go to the board of this project'],
      [['g', 'l'], 'Go to the list of this project'],
      [['Esc'], 'Back, or close'],
    ],
  ],
  [
    'Board',
    [
      [['↑', '↓', '←', '→'], 'Focus the next card that way'],
      [['Shift', '← →'], 'Move the card to the next column'],
      [['Shift', '↑ ↓'], 'Move the card up or down'],
      [['Shift', 'Home End'], 'Move the card to the top or the bottom'],
      [['Enter'], 'Open the card'],
      [['n'], 'Add an item to the column'],
    ],
  ],
  [
    'List',
    [
      [['j', 'k'], 'Next, previous item'],
      [['x'], 'Select the item'],
      [['Shift', 'click'], 'Select up to here'],
      [['Enter'], 'Open the item'],
    ],
  ],
  [
    'Item',
    [
      [['e'], 'Edit the description'],
      [['m'], 'Write a comment'],
      [['Ctrl', 'Enter'], 'Save what you are writing'],
      [['Esc'], 'Stop editing'],
    ],
  ],
];

export function ShortcutSheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [on, setOn] = useShortcutsSwitch();
  return (
    <Modal opened={opened} onClose={onClose} title={<Text fw={600}>Keys</Text>} size="lg">
      <Stack gap="lg">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xl">
          {groups.map(([title, lines]) => (
            <section key={title}>
              <Title order={3} mb={6}>
                {title}
              </Title>
              <dl className={classes.lines}>
                {lines.map(([keys, what]) => (
                  <div key={what} className={classes.line}>
                    <dt>
                      {keys.map((key) => (
                        <Kbd key={key} size="xs">
                          {key}
                        </Kbd>
                      ))}
                    </dt>
                    <dd>{what}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </SimpleGrid>
        <Switch
          checked={on}
          onChange={(event) => setOn(event.currentTarget.checked)}
          label="Single keys act on this device"
          description="Switch them off if you dictate, or press keys by accident. Arrows, Enter and Esc go on working."
        />
      </Stack>
    </Modal>
  );
}
