// What a program in TypeScript writes; only checked by `npm run types`, never run.
import { Client, Problem, tokenFetch, type Answer, type Token } from "../types/index.js";

const client = new Client({ url: "http://127.0.0.1:8420", token: "tha_x", retries: 2 });
const token: Token = await client.token("crm-prod", { minTtl: 60 });
const left: number | undefined = token.expiresIn;
const answer: Answer = await client.call("crm-prod", "listContacts", { limit: 2 }, undefined, { repeatable: true });
const service: typeof fetch = tokenFetch(client, "crm-prod");
try {
  await service("https://crm.example/contacts");
} catch (error) {
  if (error instanceof Problem && error.code === "person_needed") console.log(error.fields[0]?.message, error.supportId);
}
// @ts-expect-error a generation is a number
await client.reject("crm-prod", "3");
console.log(left, answer.ok);
