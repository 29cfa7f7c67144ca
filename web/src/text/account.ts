/** Words of the menu of who is signed in. */

export const account = {
  role: "Role",
  org: "Org",
  email: "E-mail",
  until: "Signed in until",
  signOut: "Sign out",
  signOutFailed: (why: string) => `Not signed out: ${why}`,
} as const;
