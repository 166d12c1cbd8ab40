/**
 * What session login asks for: where to log in and with what, where the answer has the token, and where that goes.
 * @module
 */

import { Field } from "tokenhost-flow";

/** All fields, in the order in which a form shows them. */
export const fields = [
  Field.url("login_url", "Login URL", { help: "Where the login request goes.", required: true }),
  Field.text("username", "User name", { required: true }),
  Field.secret("password", "Password", { required: true }),
  Field.choice("method", "Method", ["POST", "PUT", "PATCH", "GET"], {
    help: "The method of the login request. With GET, what it carries stands in the query.",
    default: "POST",
  }),
  Field.choice("content_type", "Content type", ["form", "json"], {
    help: "What the login request carries: a form, or a JSON document.",
    default: "form",
  }),
  Field.text("username_field", "Name of the user name", {
    help: "What the service calls the user name; in JSON also a pointer, e.g. /user/name.",
    default: "username",
  }),
  Field.text("password_field", "Name of the password", {
    help: "What the service calls the password; in JSON also a pointer, e.g. /user/password.",
    default: "password",
  }),
  Field.words("parameters", "Further parameters", {
    help: "Further members of the login request as name=value, separated by spaces, e.g. tenant=7 remember=true.",
  }),
  Field.words("headers", "Further headers", {
    help: "Further headers of the login request as name=value, separated by spaces, e.g. x-requested-with=XMLHttpRequest.",
  }),
  Field.url("csrf_url", "CSRF URL", {
    help: "Where a CSRF token is fetched by GET before the login. Its cookies go with the login. Unset: no such request.",
  }),
  Field.choice("csrf_from", "CSRF token from", ["cookie", "header", "json", "html"], {
    help: "Where the answer has the CSRF token: in a cookie or header, at a JSON pointer, or in an input or meta of a page.",
    default: "cookie",
  }),
  Field.text("csrf_name", "Name of the CSRF token", {
    help: "The name of the cookie, header, input or meta, or the JSON pointer.",
    default: "csrftoken",
  }),
  Field.choice("csrf_to", "CSRF token to", ["header", "parameter"], {
    help: "Where the login request has the CSRF token.",
    default: "header",
  }),
  Field.text("csrf_to_name", "Name in the login request", {
    help: "The header or parameter that carries the CSRF token.",
    default: "X-CSRFToken",
  }),
  Field.choice("token_from", "Token from", ["json", "header", "cookie"], {
    help: "Where the answer has the token.",
    default: "json",
  }),
  Field.text("token_name", "Name of the token", {
    help: "The JSON pointer to the token, e.g. /data/token, or the name of the header or cookie.",
    default: "/token",
  }),
  Field.text("lifetime_pointer", "Lifetime", {
    help:
      "The JSON pointer to the token's lifetime in seconds, or to the moment at which it ends. Unset: that of the cookie, " +
      "if it is one.",
  }),
  Field.words("value_pointers", "Further values", {
    help: "Further values to keep with the token, as name=pointer, e.g. instance_url=/data/url.",
  }),
  Field.flag("keep_cookies", "Keep cookies", {
    help: "Whether all cookies of the login go with each request to the service too.",
    default: "false",
  }),
  Field.choice("place", "Place of the token", ["authorization", "header", "query", "cookie"], {
    help: "Where the token goes in requests to the service; for a token from a cookie, cookie is usual.",
    default: "authorization",
  }),
  Field.text("place_name", "Name at its place", {
    help: "The header, query parameter or cookie that carries the token; with authorization, the scheme.",
    default: "Bearer",
  }),
];
