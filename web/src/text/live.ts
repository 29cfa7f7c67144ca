/** Words about the connection. */

export const liveText = {
  unreachable: "the API cannot be reached",
  slow: (seconds: number) => `nothing came for ${seconds} s`,
  cut: "the connection was cut",
  noStream: "something on the way answers in place of the stream",
  tooMany: "too many streams are open with this sign-in",
  tooLarge: "a message was larger than any should be",
  status: (status: number) => `the API answers ${status}`,
} as const;
