/** Whether a stream's entry comes after another, by their ids. */
export function isAfter(id: string, other = '0-0'): boolean {
  const [time = 0, number = 0] = id.split('-').map(Number);
  const [otherTime = 0, otherNumber = 0] = other.split('-').map(Number);
  return time > otherTime || (time === otherTime && number > otherNumber);
}
