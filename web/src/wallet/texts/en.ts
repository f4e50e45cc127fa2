export const en = {
  shell: {
    title: "One-time codes",
    language: "Language",
  },
} as const;
